/** Workers that get no connection, against a server that refuses them. */
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { freshDatabase } from './database.ts';
import { noFailpoints } from '../src/base/runtime/failpoint.ts';
import { WHOLE } from '../src/engine/change/cut.ts';
import { readTables } from '../src/engine/pg/catalog/tables/tables.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { openChunkReader } from '../src/engine/source/chunk-reader.ts';
import { holdFreshSnapshot } from '../src/engine/source/snapshot-holder.ts';
import { openChunkWriter } from '../src/engine/target/copy/chunk-writer.ts';
import { planLoad } from '../src/engine/target/copy/load-plan.ts';
import { openHand, type CopyChunk } from '../src/engine/pipeline/copy-hand.ts';
import { runCopy } from '../src/engine/pipeline/copy-run.ts';

it('all but one worker retire where the server has no connection left; the last one tries until its patience ends', async () => {
  await using db = await freshDatabase(17);
  const role = `r_${randomBytes(4).toString('hex')}`;
  await db.session.query(
    `CREATE ROLE ${role} LOGIN PASSWORD 'only-here' CONNECTION LIMIT 0; CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int)`,
  );
  const login = { ...db.info, user: role, password: 'only-here' };
  const signal = new AbortController().signal;
  try {
    await using held = await holdFreshSnapshot(() => db.open(), { covers: null, settled: null });
    const chunks: CopyChunk[] = (await readTables(db.session)).map((table) => ({
      id: table.name,
      // None shares a transaction with another.
      bytesEstimate: 10n ** 9n,
      load: planLoad(table, table, { mode: 'fill', mayLack: false, columnOf: (column) => column }),
      read: { table, cut: WHOLE, chunk: 0, columns: ['id'], binary: true },
    }));
    const left: number[] = [];
    let tries = 0;
    const open = () => {
      tries++;
      return connect(login, { side: 'source', applicationName: 'test' });
    };
    const control = () => Promise.resolve(db.session);
    const started = performance.now();
    const end = await runCopy({
      chunks,
      jobs: 3,
      strict: false,
      openHand: () =>
        openHand({
          openReader: () => openChunkReader({ open, control, held, throttle: null }),
          openWriter: () => openChunkWriter(() => db.open()),
          taskId: 'none',
          copyFence: 1n,
          stamp: null,
          failpoints: noFailpoints,
          signal,
        }),
      patienceMs: 1_500,
      signal,
      onStart: () => {},
      onPass: () => {},
      onDone: () => {},
      onVoid: () => {},
      onTableFailed: () => {},
      onFewerWorkers: (workers) => left.push(workers),
    });
    expect(left).toEqual([2, 1]);
    expect(tries).toBeGreaterThan(4);
    expect(performance.now() - started).toBeGreaterThan(1_400);
    expect(end).toMatchObject({
      kind: 'failed',
      cause: {
        code: 'CONNECT_FAILED',
        message: expect.stringContaining(`too many connections for role "${role}"`),
        remedy: 'The server is full: end sessions, or raise max_connections.',
      },
    });
  } finally {
    await db.session.query(`DROP ROLE ${role}`);
  }
});
