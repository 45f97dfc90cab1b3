/** The slot with its snapshot, and the full copy under it or, after a loss, under a later one (data-plane P1–P4, I1–I3). */
import { parseSnapshot } from '../../engine/change/snapshot.ts';
import { displayName, nameKey } from '../../engine/change/relation.ts';
import { readTables, type TableInfo } from '../../engine/pg/catalog/tables.ts';
import { qname } from '../../engine/pg/ident.ts';
import { identify } from '../../engine/pg/identity.ts';
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
  const { timeline } = await identify(source);
  const holder = await run.ends.openReplication('holder');
  try {
    const held = await holdSlotSnapshot(holder, run.names.slot, source, SLOT_WAIT_MS);
    run.hooks.failpoints.pass('slot.after-create');
    const slot = { lsn: held.consistentPoint, snapshot: held.text, timeline };
    await recordSlot(target, run, slot);
    run.task = { ...run.task, phase: 'copy', slot };
    return held;
  } catch (thrown) {
    await holder.end();
    throw thrown;
  }
}

/** Copies what is not done yet. `first` is the slot's snapshot when it was taken in this run; it is closed here. */
export async function copyTables(run: TaskRun, first: HeldSnapshot | null): Promise<void> {
  let held: HeldSnapshot | null = first;
  let later = false;
  try {
    for (let attempt = 1; ; attempt++) {
      const units = await remainingUnits(run);
      if (units.length === 0) return;
      if (held === null) {
        if (run.task.slot === null) await startOver(run);
        held = await holdFreshSnapshot(
          () => run.ends.openSource('holder'),
          run.task.slot ? parseSnapshot(run.task.slot.snapshot) : null,
        );
        later = run.task.slot !== null;
      }
      const end = await copyUnder(run, held, { units: await remainingUnits(run), later });
      await held[Symbol.asyncDispose]();
      held = null;
      if (end.kind === 'done') return;
      if (end.kind === 'stopped') run.hooks.signal.throwIfAborted();
      if (end.kind === 'failed' || (end.kind === 'snapshot-lost' && attempt >= SNAPSHOT_ATTEMPTS))
        throw end.cause;
      if (end.kind === 'snapshot-lost')
        warn(run, `${end.cause.message} The tables not copied yet are copied under a new snapshot.`);
    }
  } finally {
    await held?.[Symbol.asyncDispose]();
  }
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
  await target.transaction(async () => {
    await holdFence(target, run.taskId, run.fence);
    await target.query(`TRUNCATE ${tables.map((table) => `ONLY ${qname(table)}`).join(', ')}`);
    await target.query('DELETE FROM _opendts.copy_unit WHERE task_id = $1', [run.taskId]);
  });
}
