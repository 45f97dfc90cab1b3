/** The slot with its snapshot, and the full copy under it or, after a loss, under a later one (data-plane P1–P4, I1–I3). */
import { AppError } from '../../base/errors/app-error.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { parseSnapshot } from '../../engine/change/snapshot.ts';
import { displayName, nameKey } from '../../engine/change/relation.ts';
import { readTables, type TableInfo } from '../../engine/pg/catalog/tables.ts';
import { qname } from '../../engine/pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../../engine/pg/pg-error.ts';
import { runCopy, type CopyEnd, type CopyUnit } from '../../engine/pipeline/copy-run.ts';
import { dropSlot, ensurePublication, setReplicaIdentities } from '../../engine/source/prepare.ts';
import {
  holdFreshSnapshot,
  holdSlotSnapshot,
  type HeldSnapshot,
} from '../../engine/source/snapshot-holder.ts';
import { openUnitReader } from '../../engine/source/unit-reader.ts';
import { planLoad } from '../../engine/target/load-plan.ts';
import { holdFence, recordSlot, rememberSourceChange } from '../../engine/target/task-row.ts';
import { openUnitWriter, readDoneUnits } from '../../engine/target/unit-writer.ts';
import { enter, warn, type TaskRun } from './task-run.ts';

const SLOT_WAIT_MS = 60_000;
const SNAPSHOT_ATTEMPTS = 10;

/** P1 and P2. The result holds S1; it is recorded before anything is read under it. */
export async function createSlotAndHold(run: TaskRun): Promise<HeldSnapshot> {
  const [source, target] = [await run.ends.source(), await run.ends.target()];
  const changed = await setReplicaIdentities(source, run.followed, (change) =>
    rememberSourceChange(target, run.taskId, change),
  );
  if (changed.length > 0)
    warn(run, `REPLICA IDENTITY FULL was set on tables without a key, until cleanup: ${changed.join(', ')}`);
  await ensurePublication(source, run.names.publication, run.followed);
  // A slot of our name that no row speaks of is from a run that died before it could write it down.
  await dropSlot(source, run.names.slot);
  const holder = await run.ends.openReplication('holder');
  try {
    // The control file would still name the old timeline for a while after a promotion.
    const { timeline } = await holder.one('IDENTIFY_SYSTEM');
    const held = await holdSlotSnapshot(holder, run.names.slot, source, SLOT_WAIT_MS);
    run.hooks.failpoints.pass('slot.after-create');
    const slot = { lsn: held.consistentPoint, snapshot: held.text, timeline: Number(timeline) };
    await recordSlot(target, run, slot);
    run.task = { ...run.task, phase: 'copy', slot };
    return held;
  } catch (thrown) {
    await holder.end();
    throw thrown;
  }
}

/**
 * Copies what is not done yet and passes the task on to its next phase. `first` is the slot's snapshot when it was taken in this run; it
 * is closed here.
 *
 * Units commit without waiting for the disk, so a target that crashes may forget some that were answered. Only the phase's own commit
 * makes them durable, and it is made only where the target still has them all; what it forgot is copied again.
 */
export async function copyTables(run: TaskRun, first: HeldSnapshot | null): Promise<void> {
  let held: HeldSnapshot | null = first;
  let later = false;
  let losses = 0;
  try {
    while (!(await patiently(run, () => passCopy(run)))) {
      if (held === null) {
        if (run.task.slot === null) await startOver(run);
        held = await holdFreshSnapshot(
          () => run.ends.openSource('holder'),
          run.task.slot ? parseSnapshot(run.task.slot.snapshot) : null,
        );
        later = run.task.slot !== null;
      }
      const end = await copyUnder(run, held, {
        units: await patiently(run, () => remainingUnits(run)),
        later,
      });
      if (end.kind === 'done') continue;
      await held[Symbol.asyncDispose]();
      held = null;
      if (end.kind === 'stopped') run.hooks.signal.throwIfAborted();
      if (end.kind === 'failed' || (end.kind === 'snapshot-lost' && ++losses >= SNAPSHOT_ATTEMPTS))
        throw end.cause;
      if (end.kind === 'snapshot-lost') {
        warn(run, `${end.cause.message} The tables not copied yet are copied under a new snapshot.`);
      }
    }
  } finally {
    await held?.[Symbol.asyncDispose]();
  }
}

const RESTART_PATIENCE_MS = 120_000;

/** A target that restarts is back soon: what was asked of it is asked again. */
async function patiently<T>(run: TaskRun, ask: () => Promise<T>): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (thrown) {
      const passes =
        thrown instanceof AppError && (thrown.code === 'CONNECTION_LOST' || thrown.code === 'CONNECT_FAILED');
      if (!passes || run.hooks.signal.aborted || performance.now() - started > RESTART_PATIENCE_MS)
        throw thrown;
      await sleep(backoffMs(attempt, { firstMs: 200, maxMs: 5_000 }), run.hooks.signal);
    }
  }
}

/** True when every unit is on the target and the phase that follows has been committed, durably, with that. */
async function passCopy(run: TaskRun): Promise<boolean> {
  run.hooks.signal.throwIfAborted();
  const target = await run.ends.target();
  return target.transaction(async () => {
    await holdFence(target, run.taskId, run.fence);
    const done = new Set((await readDoneUnits(target, run.taskId)).map((unit) => unit.unit));
    if (!run.tables.every((table) => done.has(unitId(table)))) return false;
    await target.query("UPDATE _opendts.task SET phase = 'index' WHERE task_id = $1", [run.taskId]);
    run.task = { ...run.task, phase: 'index' };
    return true;
  });
}

async function copyUnder(
  run: TaskRun,
  held: HeldSnapshot,
  work: { units: readonly CopyUnit[]; later: boolean },
): Promise<CopyEnd> {
  const started = performance.now();
  const { book } = run;
  enter(run, 'copy', `copying ${work.units.length} tables with ${run.request.jobs} jobs`);
  const end = await runCopy({
    taskId: run.taskId,
    fence: run.fence,
    ...work,
    jobs: run.request.jobs,
    held,
    openReader: () => openUnitReader(() => run.ends.openSource('copy'), held.exportedId, run.throttle),
    openWriter: () => openUnitWriter(() => run.ends.openTarget('copy')),
    failpoints: run.hooks.failpoints,
    signal: run.hooks.signal,
    onStart: (unit) => book.copying(tableOf(unit)),
    onBytes: (unit, bytes) => book.passing(tableOf(unit), bytes),
    onDone: (unit, done) => book.copied(tableOf(unit), done.rows, done.bytes),
    onVoid: (unit) => book.voided(tableOf(unit)),
  });
  book.copyMs += performance.now() - started;
  return end;
}

function tableOf(unit: CopyUnit): string {
  return displayName(unit.read.table);
}

/** Whole tables are units here. Throws where a target table is missing or lacks a column. */
async function remainingUnits(run: TaskRun): Promise<CopyUnit[]> {
  const target = await run.ends.target();
  const done = new Map((await readDoneUnits(target, run.taskId)).map((unit) => [unit.unit, unit]));
  const shapes = new Map((await readTables(target)).map((table) => [nameKey(table), table]));
  const units: CopyUnit[] = [];
  for (const table of run.tables) {
    const before = done.get(unitId(table));
    if (before) run.book.copiedEarlier(displayName(table), before.rows, before.bytes);
    else
      units.push({
        id: unitId(table),
        bytesEstimate: table.bytes,
        read: { table, ...planLoad(table, shapes.get(nameKey(table))) },
      });
  }
  return units;
}

/** Stable over restarts, and safe whatever a name contains. */
export function unitId(table: TableInfo): string {
  return JSON.stringify([table.schema, table.name]);
}

/**
 * Without a stream nothing reconciles two snapshots: after the loss of one, all is copied again under another. The tables held no rows
 * but ours (checked before the first start), so emptying those we filled loses nothing.
 */
async function startOver(run: TaskRun): Promise<void> {
  const target = await run.ends.target();
  const filled = new Set((await readDoneUnits(target, run.taskId)).map((unit) => unit.unit));
  const tables = run.tables.filter((table) => filled.has(unitId(table)));
  if (tables.length === 0) return;
  warn(
    run,
    `without incremental migration all tables must be of one moment: ${tables.length} tables copied before are copied again`,
  );
  for (let from = 0; from < tables.length; from += EMPTY_BATCH)
    await emptyTables(run, tables.slice(from, from + EMPTY_BATCH));
}

/** Each table emptied takes a lock, and a server has only so many. */
const EMPTY_BATCH = 500;

async function emptyTables(run: TaskRun, tables: readonly TableInfo[]): Promise<void> {
  await using writer = await openUnitWriter(() => run.ends.openTarget('empty'));
  const { session } = writer;
  const empty = (statement: string) =>
    session.transaction(async () => {
      await session.query('SET LOCAL synchronous_commit = on');
      await holdFence(session, run.taskId, run.fence);
      await session.query(statement);
      await session.query(
        'DELETE FROM _opendts.copy_unit WHERE task_id = $1 AND unit IN (SELECT u.value FROM pg_catalog.json_array_elements_text($2::json) u)',
        [run.taskId, JSON.stringify(tables.map(unitId))],
      );
    });
  try {
    await empty(`TRUNCATE ${tables.map((table) => `ONLY ${qname(table)}`).join(', ')}`);
  } catch (thrown) {
    // Tables of the user's own may be referenced by foreign keys, which TRUNCATE refuses even where nothing refers to a row.
    if (sqlstateOf(thrown) !== SQLSTATE.featureNotSupported) throw thrown;
    await empty(tables.map((table) => `DELETE FROM ONLY ${qname(table)}`).join('; '));
  }
}
