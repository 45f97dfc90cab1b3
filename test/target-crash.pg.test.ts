import { expect, it } from 'vitest';
import { startEmbedded } from '../src/base/embedded/server.ts';
import { noFailpoints } from '../src/base/runtime/failpoint.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import type { MigrationEvent } from '../src/contract/progress.ts';
import { OPERATIONS } from '../src/contract/task-spec.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { connect } from '../src/engine/pg/connect.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { startMigration } from '../src/service/task/migrate.ts';
import { freshDatabase } from './database.ts';

const TABLES = 40;

/** Units commit without waiting for the disk: a crash takes back some that were answered. */
it.each([['schema,full'], ['schema,full,incremental']])(
  'a target that crashes during the copy keeps nothing half: %s',
  async (types) => {
    await using source = await freshDatabase(15);
    const server = await startEmbedded({
      major: 15,
      settings: { wal_writer_delay: '10s', restart_after_crash: 'on' },
    });
    try {
      for (let at = 0; at < TABLES; at++) {
        await source.session.query(
          `CREATE TABLE t${at} (id int PRIMARY KEY, v text); INSERT INTO t${at} SELECT g, 'x' FROM generate_series(1, 50) g`,
        );
      }
      const target = parseConninfo(server.uri('postgres'), 'target');
      const open = () => connect(target, { side: 'target', applicationName: 'test' });
      const killer = await open();
      const events: MigrationEvent[] = [];
      const migration = startMigration(
        {
          source: source.info,
          target,
          types: new Set(types.split(',') as ('schema' | 'full' | 'incremental')[]),
          tables: [],
          excludeTables: [],
          rename: {},
          capitalization: 'source',
          excludeColumns: [],
          operations: OPERATIONS,
          rules: [],
          conflict: 'report',
          strict: false,
          jobs: 1,
          lanes: 1,
          until: { kind: 'caught-up' },
          // Slow enough that the crash falls between batches.
          limits: { queriesPerSecond: 20, rowsPerSecond: null, bytesPerSecond: null },
        },
        {
          signal: new AbortController().signal,
          failpoints: noFailpoints,
          onEvent: (event) => events.push(event),
        },
      );
      const copied = () => migration.progress().tables.filter(({ stage }) => stage === 'copied').length;
      while (copied() < 16) await sleep(5);
      const { pid } = await killer.one(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'opendts:%:control' LIMIT 1",
      );
      process.kill(Number(pid), 'SIGKILL');
      const { outcome } = await migration.finished;
      expect(outcome).toBe(types.endsWith('incremental') ? 'caught-up' : 'completed');
      await using session: Session = await open();
      for (let at = 0; at < TABLES; at++) {
        expect(await session.one(`SELECT count(*)::text AS n FROM public.t${at}`)).toEqual({ n: '50' });
      }
      // The crash really took work back: the copy began more than once.
      expect(events.filter(({ message }) => message.startsWith('copying')).length).toBeGreaterThan(1);
    } finally {
      await server.remove();
    }
  },
);
