/** What thousands of small tables cost: one COPY a table on each side, all else is shared by those that are copied together (B12). */
import { expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compare, migrate } from './migration.ts';
import { ownServer, type OwnServer } from './own-server.ts';

const LOG = {
  logging_collector: 'on',
  log_directory: 'log',
  log_filename: 'all.log',
  log_statement: 'all',
  log_connections: 'on',
  fsync: 'off',
};

/** What clients have sent and opened up to now, by the server's log. */
function logged({ data }: OwnServer): { statements: string[]; connections: number } {
  const lines = readFileSync(join(data, 'log', 'all.log'), 'utf8').split('\n');
  return {
    statements: lines.flatMap((line) => /LOG: {2}(?:statement|execute [^:]*): (.*)/.exec(line)?.[1] ?? []),
    connections: lines.filter((line) => line.includes('connection authorized')).length,
  };
}

/** Between two sizes: what so many tables more have cost. */
async function costOf(tables: number) {
  await using source = await ownServer(15, LOG);
  await using target = await ownServer(15, LOG);
  await source.database.session.query(
    `DO $$ BEGIN FOR i IN 1..${tables} LOOP
       EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', i);
       EXECUTE format('INSERT INTO t%s SELECT g, ''v'' FROM generate_series(1, 5) g', i);
     END LOOP; END $$`,
  );
  const before = [source, target].map(logged);
  const run = await migrate(source.database, target.database, { types: ['schema', 'full'] });
  expect(run.outcome).toBe('completed');
  const after = [source, target].map(logged);
  expect((await compare(source.database, target.database)).differing).toEqual([]);
  return after.map(({ statements, connections }, side) => ({
    copies: statements.filter((sql) => sql.startsWith('COPY')).length,
    others:
      statements.filter((sql) => !sql.startsWith('COPY')).length - (before[side]?.statements.length ?? 0),
    connections: connections - (before[side]?.connections ?? 0),
  }));
}

it('cost one COPY each and share the rest: no connection more, and less than one other statement a table', async () => {
  const [few, many] = [await costOf(32), await costOf(352)];
  for (const side of [0, 1]) {
    const [small, large] = [few[side], many[side]];
    expect(small?.copies).toBe(32);
    expect(large?.copies).toBe(352);
    expect(large?.connections).toBe(small?.connections);
    // 320 tables more: 20 batches of 16, and on the target also tables, indexes and statistics by the dozen.
    expect((large?.others ?? 0) - (small?.others ?? 0)).toBeLessThan(side === 0 ? 120 : 240);
  }
});
