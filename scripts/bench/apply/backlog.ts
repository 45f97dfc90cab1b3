/**
 * A fixed backlog. The task is set up by the product itself, its slot is copied before the load begins, and the target as it then is
 * becomes a template: so every run starts at the same position and from the same content, and the load is made once.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { endOfWal } from '../../../src/engine/pg/wal-position.ts';
import { ident } from '../../../src/engine/pg/ident.ts';
import { formatLsn } from '../../../src/engine/change/lsn.ts';
import {
  dropDatabases,
  freshTarget,
  load,
  openDatabase,
  type ClusterPair,
  type LoadedData,
} from '../cluster-pair.ts';
import { opendts } from '../opendts-run.ts';
import type { Bench } from '../rounds.ts';
import { END_TABLE, type Workload } from './workloads.ts';

export interface Backlog {
  readonly pair: ClusterPair;
  /** The database has the same name on both servers. */
  readonly data: LoadedData;
  readonly about: string;
  /** The task's slot. */
  readonly slot: string;
  /** Everything that was loaded lies before it, but for the row that says so. */
  readonly end: string;
}

const summaryDocument = z.object({ data: z.object({ slot: z.string() }) });

/** Never read: where the others start. */
const firstSlot = (database: string) => `bench_first_${database}`;
const template = (database: string) => `${database}_start`;

/** Of the data's tables, for whoever has none of its own. */
export const PUBLICATION = 'bench';

/** Sets the migration up and follows it to the end of what is there. Returns the name of its slot. */
export async function setUp(bench: Bench, data: LoadedData): Promise<string> {
  const { pair } = bench;
  await freshTarget(pair, data.database);
  await using source = await openDatabase(pair.source, data.database);
  const tables = data.tables.map(({ name }) => `public.${ident(name)}`);
  await source.query(`CREATE PUBLICATION ${PUBLICATION} FOR TABLE ${tables.join(', ')}`);
  const folder = mkdtempSync(join(tmpdir(), 'opendts-bench-'));
  try {
    const ends = ['--source', pair.source.uri(data.database), '--target', pair.target.uri(data.database)];
    const args = ['migrate', ...ends, '--until', 'caught-up', '--json', '--state-dir', folder];
    const { stdout } = await opendts(bench, args);
    return summaryDocument.parse(JSON.parse(stdout)).data.slot;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function makeBacklog(
  bench: Bench,
  { data: set, prepare, load: calls }: Workload,
): Promise<Backlog> {
  const { pair, say } = bench;
  const { name, about } = set;
  bench.signal.throwIfAborted();
  say(`${name}: making ${about} …`);
  const data = await load(pair, set);
  const slot = await setUp(bench, data);
  await using source = await openDatabase(pair.source, name);
  await copySlot(pair, name, { from: slot, to: firstSlot(name) });
  await keepTemplate(pair, name);
  if (prepare !== '') await source.query(prepare);
  const started = performance.now();
  await Promise.all(calls.map((call) => loadOnce(pair, name, call)));
  const end = formatLsn(await endOfWal(source));
  await source.query(`INSERT INTO public.${END_TABLE} VALUES (1)`);
  // The first reader of a table would else pay for hint bits, and the digests come after every run.
  await source.query('VACUUM');
  say(`${name}: loaded in ${((performance.now() - started) / 1000).toFixed(1)} s, ends at ${end}`);
  return { pair, data, about, slot, end };
}

/** Nobody waits for single commits: the row that ends the load is flushed after all of them. */
async function loadOnce(pair: ClusterPair, database: string, call: string): Promise<void> {
  await using session = await openDatabase(pair.source, database);
  await session.query('SET synchronous_commit = off');
  await session.query(call);
}

async function keepTemplate({ target }: ClusterPair, database: string): Promise<void> {
  await using inside = await openDatabase(target, database);
  await inside.query('VACUUM');
  await inside.end();
  await using outside = await openDatabase(target, 'postgres');
  await outside.query(`ALTER DATABASE ${ident(database)} RENAME TO ${ident(template(database))}`);
}

export function resetTarget(pair: ClusterPair, database: string): Promise<void> {
  return freshTarget(pair, database, template(database));
}

/** `name` stands where all began, whatever it was before. */
export function resetSlot({ pair, data }: Backlog, name: string): Promise<void> {
  return copySlot(pair, data.database, { from: firstSlot(data.database), to: name });
}

/** A slot at the same position; whatever had its name is dropped. */
export async function copySlot(
  pair: ClusterPair,
  database: string,
  { from, to }: { from: string; to: string },
): Promise<void> {
  await using source = await openDatabase(pair.source, database);
  await dropSlot(pair, to);
  await source.query('SELECT pg_catalog.pg_copy_logical_replication_slot($1, $2)', [from, to]);
}

/** Of a slot that is not there nothing is said. */
export async function dropSlot({ source }: ClusterPair, name: string): Promise<void> {
  await using session = await openDatabase(source, 'postgres');
  await session.query(
    'SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
    [name],
  );
}

/** Removes databases and slots, so that the next backlog's source keeps no WAL of this one. */
export async function dropBacklog({ pair, data, slot }: Backlog): Promise<void> {
  for (const name of [firstSlot(data.database), slot]) await dropSlot(pair, name);
  await dropDatabases(pair, [data.database, template(data.database)]);
}
