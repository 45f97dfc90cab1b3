/**
 * Compares the two ends table by table. Every table is digested by both servers at the same time, each in one read-only snapshot;
 * only digests and counts leave the servers. While somebody writes to the source, differences are to be expected.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../change/relation.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { isDataError, SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { columnMismatch, comparedColumns, unknownType, type PairNames } from './columns.ts';
import {
  addDigests,
  countRows,
  digestSettings,
  floatForm,
  readDigest,
  type DigestColumn,
  type FloatForm,
  type TableDigest,
} from './digest.ts';
import { pairsToCompare, readPartitionRoots } from './partitions.ts';

export interface TablePair {
  readonly source: TableInfo;
  /** Null: the target has no such table. */
  readonly target: TableInfo | null;
  /** How the target calls what the source calls otherwise; none: everything keeps its name. */
  readonly names?: PairNames;
  /** A row filter's condition: the target must hold the source's rows that meet it, and no others. */
  readonly condition?: string | undefined;
}

export interface TableVerdict {
  /** Source name, `schema.table`. */
  readonly table: string;
  readonly verdict: 'identical' | 'different' | 'missing' | 'not-comparable';
  readonly sourceRows: bigint;
  /** Null when the target has no such table. */
  readonly targetRows: bigint | null;
  /** Null when identical. Never holds row values. */
  readonly reason: string | null;
}

export interface VerifyOptions {
  readonly openSource: () => Promise<Session>;
  readonly openTarget: () => Promise<Session>;
  /** Tables compared at the same time; each takes one session on either side. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Called as soon as a table is done, in no certain order. */
  readonly onVerdict: (verdict: TableVerdict) => void;
}

/** One end of a lane: a session and what its digests need to know. */
interface End {
  readonly session: Session;
  readonly user: string;
  readonly encoding: string;
}

interface Lane {
  readonly source: End;
  readonly target: End;
  readonly form: FloatForm;
}

/**
 * Compares all pairs; verdicts come in the order of the pairs. Partitioned tables are compared by their partitions, or as a whole where
 * the layouts differ (then the partitions get no verdict). Throws RIGHTS_MISSING when a table cannot be read, and the signal's reason.
 */
export async function verifyTables(
  pairs: readonly TablePair[],
  options: VerifyOptions,
): Promise<TableVerdict[]> {
  const { signal, onVerdict } = options;
  await using open = new AsyncDisposableStack();
  const first = await openLane(options, open);
  const compared = pairsToCompare(
    pairs,
    await readPartitionRoots(first.source.session),
    await readPartitionRoots(first.target.session),
  );
  // The largest first, so that the last lane does not end long after the others.
  const groups = byTarget(compared);
  const queue = groups.toSorted((a, b) => (b.bytes > a.bytes ? 1 : -1));
  const verdicts = new Map<Group, TableVerdict>();
  const work = async (lane: Lane) => {
    for (let group = queue.shift(); group; group = queue.shift()) {
      signal.throwIfAborted();
      const verdict = await compareGroup(group, lane);
      verdicts.set(group, verdict);
      onVerdict(verdict);
    }
  };
  const lanes = [first];
  while (lanes.length < Math.min(options.jobs, queue.length)) lanes.push(await openLane(options, open));
  // The first failure ends the other lanes too, by closing their sessions; they are waited for, so that nothing runs on.
  const failures: unknown[] = [];
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  let cancelled = Promise.resolve();
  const cancel = () => {
    cancelled = cancelAll(lanes, options);
  };
  stop.addEventListener('abort', cancel, { once: true });
  await Promise.all(
    lanes.map((lane) =>
      work(lane).catch((thrown: unknown) => {
        failures.push(thrown);
        failed.abort();
      }),
    ),
  );
  stop.removeEventListener('abort', cancel);
  await cancelled;
  signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
  return groups.flatMap((group) => verdicts.get(group) ?? []);
}

/** One table, or several that go into one: their rows are counted and their digests added up. */
interface Group {
  readonly pairs: readonly [TablePair, ...TablePair[]];
  readonly target: TableInfo | null;
  readonly bytes: bigint;
}

function byTarget(pairs: readonly TablePair[]): Group[] {
  const groups = Map.groupBy(pairs, ({ source, target }) => target?.oid ?? source);
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (!first) return [];
    const bytes = others.reduce((sum, { source }) => sum + source.bytes, first.source.bytes);
    return [{ pairs: [first, ...others], target: first.target, bytes }];
  });
}

async function openLane(options: VerifyOptions, stack: AsyncDisposableStack): Promise<Lane> {
  options.signal.throwIfAborted();
  const source = await openEnd(stack.use(await options.openSource()));
  const target = await openEnd(stack.use(await options.openTarget()));
  return { source, target, form: floatForm(source.session.version, target.session.version) };
}

async function openEnd(session: Session): Promise<End> {
  const { user, encoding } = await session.one(
    `SELECT current_user AS "user", pg_catalog.current_setting('server_encoding') AS encoding`,
  );
  return { session, user: user ?? '', encoding: encoding ?? '' };
}

/** Asks the servers to stop the running queries (a closed socket alone would let them finish), then closes the sessions. */
async function cancelAll(lanes: readonly Lane[], options: VerifyOptions): Promise<void> {
  const cancelSide = async (open: () => Promise<Session>, sessions: readonly Session[]) => {
    try {
      await using session = await open();
      for (const { pid } of sessions) await session.query(`SELECT pg_catalog.pg_cancel_backend(${pid})`);
    } catch {
      // The server is gone or has no connection left: closing is all we can do.
    }
    for (const session of sessions) session.destroy();
  };
  await Promise.all([
    cancelSide(
      options.openSource,
      lanes.map((lane) => lane.source.session),
    ),
    cancelSide(
      options.openTarget,
      lanes.map((lane) => lane.target.session),
    ),
  ]);
}

async function compareGroup({ pairs: [first, ...others], target }: Group, lane: Lane): Promise<TableVerdict> {
  const pairs = [first, ...others];
  const table = pairs.map(({ source }) => displayName(source)).join(' + ');
  const count = (end: End, of: TableInfo, where?: string) =>
    inSnapshot(end, of, () => countRows(end.session, of, where));
  const countSources = async () => {
    let rows = 0n;
    for (const { source, condition } of pairs) rows += await count(lane.source, source, condition);
    return rows;
  };
  if (!target) {
    const sourceRows = await countSources();
    return { table, verdict: 'missing', sourceRows, targetRows: null, reason: 'not on the target' };
  }
  const without = async (verdict: 'different' | 'not-comparable', reason: string) => {
    const [sourceRows, targetRows] = await both(countSources(), count(lane.target, target));
    return { table, verdict, sourceRows, targetRows, reason };
  };
  const compared = (pair: TablePair) => comparedColumns(pair, target);
  const mismatch =
    pairs.map((pair) => columnMismatch(pair, target)).find((reason) => reason !== null) ??
    (await unknownType(lane.source.session, pairs.flatMap(compared)));
  if (mismatch !== null) return without('not-comparable', mismatch);
  const digest = (
    end: End,
    of: TableInfo,
    { columns, where }: { columns: readonly DigestColumn[]; where?: string | undefined },
  ) =>
    inSnapshot(end, of, async () => {
      const settings = digestSettings(lane.form);
      if (settings) await end.session.query(settings);
      const { encoding } = end;
      return readDigest(end.session, { table: of, condition: where, columns, form: lane.form, encoding });
    });
  const digestSources = async () => {
    const digests: TableDigest[] = [];
    for (const pair of pairs) {
      // In the order of the first: tables that go into one may have others.
      const own = new Map(compared(pair).map(({ name, from }) => [name, from]));
      const columns = compared(first).flatMap(({ name }) => own.get(name) ?? []);
      digests.push(await digest(lane.source, pair.source, { columns, where: pair.condition }));
    }
    return digests.reduce(addDigests);
  };
  const isRetyped = pairs.some((pair) => compared(pair).some(({ from }) => from.as));
  const digests = await both(
    digestSources(),
    digest(lane.target, target, { columns: compared(first).map(({ into }) => into) }),
  ).catch((thrown: unknown) => {
    if (!isRetyped || !isDataError(thrown)) throw thrown;
    return null;
  });
  if (digests === null)
    return without('different', 'the source has values that the types of the target do not take');
  const [here, there] = digests;
  const sameRows = here.rows === there.rows;
  const identical = sameRows && here.high === there.high && here.low === there.low;
  const reason = identical ? null : sameRows ? 'the rows differ' : 'the numbers of rows differ';
  const verdict = identical ? 'identical' : 'different';
  return { table, verdict, sourceRows: here.rows, targetRows: there.rows, reason };
}

/** Both results; a failure of one side is thrown only after the other side has ended too. */
async function both<T>(source: Promise<T>, target: Promise<T>): Promise<[T, T]> {
  await Promise.allSettled([source, target]);
  return [await source, await target];
}

async function inSnapshot<T>(end: End, table: TableInfo, work: () => Promise<T>): Promise<T> {
  try {
    return await end.session.transaction(work, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  } catch (thrown) {
    if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) throw thrown;
    const remedy = 'Grant SELECT on the table (and BYPASSRLS if it has row security), or leave it out.';
    const facts = { user: end.user, action: `read ${displayName(table)}`, side: end.session.side, remedy };
    throw new AppError('RIGHTS_MISSING', facts, thrown);
  }
}
