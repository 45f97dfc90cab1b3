/**
 * How much memory applying changes takes, whatever the size of a transaction, of a row, or the number of tables (data-plane I4): runs of the
 * real command line between two servers of its own, watched from outside. Ends with 1 when one goes beyond the bound.
 *   npm run memory:apply             10 million changes, a row of 256 MB, 20,000 tables
 *   npm run memory:apply -- --quick  smaller
 */
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { openCli, say } from './faults/cli.ts';
import { applyParts, measurePart, type Sizes } from './memory/apply-parts.ts';

const MAJOR = 17;
const FULL: Sizes = { changes: 10_000_000, megabytes: 256, tables: 20_000 };
const QUICK: Sizes = { changes: 1_000_000, megabytes: 100, tables: 2_000 };
const SETTINGS = {
  wal_level: 'logical',
  max_wal_size: '8GB',
  fsync: 'off',
  // Many tables are created in one transaction each.
  max_locks_per_transaction: 1024,
};

const megabytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MB`;

const servers: EmbeddedServer[] = [];
using cli = openCli();
try {
  for (let at = 0; at < 2; at++) servers.push(await startEmbedded({ major: MAJOR, settings: SETTINGS }));
  const [from, to] = servers;
  if (!from || !to) throw new Error('no servers');
  const parts = applyParts(process.argv.includes('--quick') ? QUICK : FULL);
  for (const [at, part] of parts.entries()) {
    const database = `memory_${at}`;
    for (const server of [from, to]) {
      await using root = await connect(parseConninfo(server.uri('postgres'), 'source'), {
        side: 'source',
        applicationName: 'memory',
      });
      await root.query(`CREATE DATABASE ${database}`);
    }
    await using source = await connect(parseConninfo(from.uri(database), 'source'), {
      side: 'source',
      applicationName: 'memory',
    });
    await source.query('SET search_path = public');
    const ends = ['--source', from.uri(database), '--target', to.uri(database)];
    const { peakBytes, boundBytes, wallMs } = await measurePart(cli, part, { source, ends });
    const isOver = peakBytes > boundBytes;
    say(
      `${part.name}: ${megabytes(peakBytes)} at most, of ${megabytes(boundBytes)} allowed${isOver ? ' - TOO MUCH' : ''} (${Math.round(wallMs / 1000)} s)`,
    );
    if (isOver) process.exitCode = 1;
    await cli.mustRun('cleanup', [...ends, '--yes']);
  }
} finally {
  for (const server of servers) await server.remove();
}
