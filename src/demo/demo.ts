/**
 * The demo's story: two embedded servers, a shop on one of them, a write load, a migration to the other while the load goes on,
 * and the proof that both hold the same. Steps: servers → seed → load → copy → stream under load → stop the load, drain → compare.
 */
import { startEmbedded, type EmbeddedServer } from '../base/embedded/server.ts';
import { AppError } from '../base/errors/app-error.ts';
import { noFailpoints } from '../base/runtime/failpoint.ts';
import { sleep } from '../base/runtime/sleep.ts';
import type { MigrationSummary, Phase } from '../contract/progress.ts';
import { MIGRATION_TYPES, OPERATIONS } from '../contract/task-spec.ts';
import { parseLsn, type Lsn } from '../engine/change/lsn.ts';
import { nameKey } from '../engine/change/relation.ts';
import { readTables } from '../engine/pg/catalog/tables/tables.ts';
import type { ConnInfo, Side } from '../engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../engine/pg/conninfo/parse.ts';
import { connect } from '../engine/pg/connect.ts';
import { ident } from '../engine/pg/ident.ts';
import type { Session } from '../engine/pg/session.ts';
import { compareSequences } from '../engine/verify/sequences.ts';
import { verifyTables, type TableVerdict } from '../engine/verify/verify.ts';
import { startMigration, type Migration } from '../service/task/migrate.ts';
import { startLoad, type Load, type LoadCounts } from './load.ts';
import {
  keptLines,
  megabytes,
  migrated,
  resultLines,
  seconds,
  whole,
  type DemoResult,
  type DemoServer,
} from './result.ts';
import { seedShop } from './shop/seed.ts';

export interface DemoOptions {
  /** Leave both servers running once the two ends were compared. */
  readonly keep: boolean;
  /** Takes the story, a line at a time. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** Size of the shop; 1 (the default) is about 1.2 million rows. */
  readonly scale?: number;
  /** How long the load goes on while changes are followed; 10 s by default. */
  readonly streamMs?: number;
}

const MAJOR = 18;
const JOBS = 2;
const LOAD = { clients: 2, pauseMs: 3 };

const DATABASE = 'shop';

/** One end of the story: its server and how sessions on its shop are opened. */
interface End {
  readonly server: EmbeddedServer;
  readonly info: ConnInfo;
  readonly open: (role: string) => Promise<Session>;
}

/**
 * Runs the whole story. Throws DIFFERENCES or SEQUENCES_BEHIND when the two ends differ, whatever made a step fail, and the signal's reason; unless the
 * comparison was reached with `keep`, both servers are stopped and removed.
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { keep, say, signal } = options;
  const began = Date.now();
  await using cleanup = new AsyncDisposableStack();
  say(`Starting two PostgreSQL ${MAJOR} servers …`);
  const source = await startEnd('source', cleanup);
  const target = await startEnd('target', cleanup);
  signal.throwIfAborted();
  await seed(source, options);
  const { summary, counts } = await migrateUnderLoad(source, target, options);
  const { verdicts, sequences } = await compareEnds(source, target, options);
  const servers = keep ? { source: describe(source), target: describe(target) } : null;
  if (keep) {
    for (const { server } of [source, target]) server.keep();
    cleanup.move();
  }
  const different = verdicts.filter(({ verdict }) => verdict !== 'identical');
  if (different.length + sequences.behind.length > 0) {
    for (const { table, verdict, reason } of different) say(`  ${table}: ${verdict} (${reason})`);
    for (const name of sequences.behind) say(`  sequence ${name} is behind`);
    for (const line of servers ? keptLines(servers) : []) say(line);
    throw different.length > 0
      ? new AppError('DIFFERENCES', { count: different.length, tables: verdicts.length })
      : new AppError('SEQUENCES_BEHIND', { names: sequences.behind.join(', ') });
  }
  const result: DemoResult = {
    ...migrated(summary),
    tables: verdicts.length,
    loadTransactions: counts.transactions,
    loadStatements: counts.statements,
    rowsCompared: verdicts.reduce((sum, { sourceRows }) => sum + sourceRows, 0n),
    sequences: sequences.count,
    elapsedMs: Date.now() - began,
    servers,
  };
  for (const line of resultLines(result)) say(line);
  return result;
}

async function startEnd(side: Side, cleanup: AsyncDisposableStack): Promise<End> {
  const settings = side === 'source' ? { wal_level: 'logical' } : {};
  const server = cleanup.adopt(await startEmbedded({ major: MAJOR, settings }), (started) =>
    started.remove(),
  );
  const admin = parseConninfo(server.uri('postgres'), side);
  await using session = await connect(admin, { side, applicationName: 'opendts:demo:admin' });
  await session.query(`CREATE DATABASE ${ident(DATABASE)}`);
  const info = { ...admin, database: DATABASE };
  return { server, info, open: (role) => connect(info, { side, applicationName: `opendts:demo:${role}` }) };
}

function describe({ server, info }: End): DemoServer {
  return { uri: server.uri(info.database), pid: server.pid, folder: server.folder };
}

/** Makes the shop on the source. A request to stop ends the server's work at once, by closing its session. */
async function seed(source: End, { say, signal, scale = 1 }: DemoOptions): Promise<void> {
  say('Filling a shop on the source …');
  const began = Date.now();
  await using session = await source.open('seed');
  const stop = () => session.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await seedShop(session, { scale });
    const { size } = await session.one('SELECT pg_database_size(current_database())::text AS size');
    say(`  ${megabytes(BigInt(size ?? '0'))} in ${seconds(Date.now() - began)}`);
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

interface Outcome {
  readonly summary: MigrationSummary;
  readonly counts: LoadCounts;
}

/** Migrates while the load writes; ends at the position where the load stopped. Leaves neither running, however it ends. */
async function migrateUnderLoad(source: End, target: End, options: DemoOptions): Promise<Outcome> {
  const { say, signal, streamMs = 10_000 } = options;
  const giveUp = new AbortController();
  const end = Promise.withResolvers<Lsn>();
  say(`Customers come: ${LOAD.clients} clients write to the source.`);
  const load = startLoad(() => source.open('load'), LOAD);
  const migration = startMigration(
    {
      source: source.info,
      target: target.info,
      types: new Set(MIGRATION_TYPES),
      tables: [],
      excludeTables: [],
      rename: {},
      capitalization: 'source',
      excludeColumns: [],
      operations: OPERATIONS,
      rules: [],
      conflict: 'report',
      strict: false,
      jobs: JOBS,
      lanes: 1,
      until: { kind: 'lsn', lsn: end.promise },
    },
    {
      signal: AbortSignal.any([signal, giveUp.signal]),
      onEvent: ({ level, message }) => say(`  ${level === 'warn' ? 'warning: ' : ''}${message}`),
      failpoints: noFailpoints,
    },
  );
  try {
    await follow(migration, { load, say, signal, until: (phase) => phase === 'stream' });
    const enough = Date.now() + streamMs;
    await follow(migration, { load, say, signal, until: () => Date.now() >= enough });
    const counts = await load.stop();
    say(
      `The load has stopped after ${whole(counts.transactions)} transactions; taking over the last changes …`,
    );
    await using session = await source.open('position');
    const { lsn } = await session.one('SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS lsn');
    end.resolve(parseLsn(lsn ?? ''));
    const summary = await migration.finished;
    signal.throwIfAborted();
    return { summary, counts };
  } finally {
    giveUp.abort();
    // Whatever went wrong is being thrown already; here both only have to end before their servers do.
    await Promise.allSettled([load.stop(), migration.finished]);
  }
}

interface Following {
  readonly load: Load;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  readonly until: (phase: Phase) => boolean;
}

const LOOK_MS = 200;
const TELL_MS = 2000;

/** Tells the progress every two seconds until `until` is true. Throws when the migration fails or ends by itself before. */
async function follow(migration: Migration, { load, say, signal, until }: Following): Promise<void> {
  const ended = migration.finished.then(() => true);
  // A failure after this function has returned is for the others who wait for `finished`.
  ended.catch(() => {});
  for (let told = Date.now(); !until(migration.progress().phase);) {
    if (await Promise.race([ended, sleep(LOOK_MS, signal).then(() => false)])) {
      signal.throwIfAborted();
      throw new Error('the migration ended before it was asked to');
    }
    signal.throwIfAborted();
    if (Date.now() - told < TELL_MS) continue;
    told = Date.now();
    say(progressLine(migration, load));
  }
}

function progressLine(migration: Migration, load: Load): string {
  const progress = migration.progress();
  const { phase, copy, bytesCopied, indexesDone, indexesTotal, changesApplied, lagBytes } = progress;
  const writes = `the shop: ${whole(load.counts().transactions)} transactions`;
  switch (phase) {
    case 'copy':
      return `  copy: ${Math.floor((copy?.share ?? 0) * 100)} %, ${whole(copy?.rows ?? 0n)} rows, ${megabytes(bytesCopied)} · ${writes}`;
    case 'index':
      return `  indexes: ${indexesDone} of ${indexesTotal} · ${writes}`;
    case 'catch-up':
    case 'stream':
    case 'finish':
      return `  stream: ${whole(changesApplied)} changes applied, ${whole(lagBytes ?? 0n)} bytes behind · ${writes}`;
    case 'connect':
    case 'check':
    case 'prepare':
    case 'schema':
    case 'done':
      return `  ${phase} · ${writes}`;
  }
}

async function compareEnds(source: End, target: End, { say, signal }: DemoOptions) {
  say('Comparing both ends, row by row …');
  await using here = await source.open('verify');
  await using there = await target.open('verify');
  const targets = new Map((await readTables(there)).map((table) => [nameKey(table), table]));
  const pairs = (await readTables(here)).map((table) => ({
    source: table,
    target: targets.get(nameKey(table)) ?? null,
  }));
  const verdicts: TableVerdict[] = await verifyTables(pairs, {
    openSource: () => source.open('verify'),
    openTarget: () => target.open('verify'),
    jobs: JOBS,
    signal,
    onVerdict() {},
  });
  return { verdicts, sequences: await compareSequences(here, there) };
}
