/** What is done at the end of a run: sequences, and the account of it all. */
import type { MigrationSummary, NextStep } from '../../contract/progress.ts';
import { nameKey } from '../../engine/change/relation.ts';
import { readTargetSequences } from '../../engine/pg/catalog/tables/owned-sequences.ts';
import { sequenceOnTarget, tableKey } from '../../engine/schema/map/name-map.ts';
import { readSequenceStates, setvalSql } from '../../engine/schema/sequences.ts';
import { countLetters } from '../../engine/target/letters/stored-letters.ts';
import { isProblem, readSteps } from '../../engine/target/books/schema-steps.ts';
import { holdFence } from '../../engine/target/books/task-row.ts';
import { perTable } from './dead-letters.ts';
import { pasteLine } from './request/paste-line.ts';
import type { TaskRun } from './task-run.ts';

/** Sets the sequences that came with the selection to where they are on the source now. Returns how many. */
export async function setSequences(run: TaskRun): Promise<number> {
  const [source, target] = [await run.ends.source(), await run.ends.target()];
  const ours = await readTargetSequences(target, run.wholeDatabase ? null : run.tables.map(run.targetOf));
  const tables = new Map(run.selected.map((table) => [tableKey(table), table]));
  const states = await readSequenceStates(source, (sequence) => {
    const there = sequenceOnTarget(sequence, run.mapping, tables);
    return ours.has(nameKey(there)) ? there : null;
  });
  await target.transaction(async () => {
    await holdFence(target, run.taskId, run.fence);
    for (const statement of setvalSql(states)) await target.query(statement);
  });
  return states.length;
}

/** Sessions on the source that could be writing: clients other than ours. */
async function countWriters(run: TaskRun): Promise<number> {
  const source = await run.ends.source();
  const { count } = await source.one(
    `SELECT count(*)::text AS count FROM pg_catalog.pg_stat_activity
      WHERE datname = pg_catalog.current_database() AND backend_type = 'client backend' AND application_name NOT LIKE 'opendts:%'`,
  );
  return Number(count);
}

export async function summarize(
  run: TaskRun,
  outcome: MigrationSummary['outcome'],
): Promise<MigrationSummary> {
  const { book, request } = run;
  const incremental = request.types.has('incremental');
  const final = outcome === 'completed' && !incremental;
  const { formats, kept, copiedLater } = book.accounts();
  const target = await run.ends.target();
  const deadLetters = perTable(await countLetters(target, run.taskId));
  const touched = await readSteps(target, run.taskId, { which: 'touched' });
  const isLacking = [...touched.values()].some(isProblem);
  return {
    taskId: run.taskId,
    outcome,
    tables: book.tableCount,
    rowsCopied: book.rowsCopied,
    bytesCopied: book.bytesCopied,
    copyMs: Math.round(book.copyMs),
    formats,
    kept,
    // Where changes are not followed all tables are brought to one moment, and every chunk names it.
    copiedLater: incremental ? copiedLater : [],
    changesApplied: book.changesApplied,
    transactionsApplied: book.transactionsApplied,
    deadLetters,
    streamMs: Math.round(book.streamMs),
    lagBytes: book.lagBytes,
    final,
    writersOnSource: outcome === 'stopped' ? 0 : await countWriters(run),
    slot: incremental ? run.names.slot : null,
    notMigrated: run.notMigrated,
    warnings: run.warnings,
    nextSteps: [
      ...(deadLetters.length > 0 ? [lettersStep(run)] : []),
      ...(isLacking ? [schemaStep(run)] : []),
      ...nextSteps(run, outcome),
    ],
    elapsedMs: book.elapsedMs,
  };
}

function lettersStep({ request }: TaskRun): NextStep {
  return {
    why: 'Look at the changes that the target has refused; then replay or drop them',
    command: pasteLine('dead-letters list', request),
  };
}

function schemaStep({ request }: TaskRun): NextStep {
  return {
    why: 'Look at the objects that could not be created; then remove the causes, edit or skip them',
    command: pasteLine('schema report', request),
  };
}

function nextSteps({ request }: TaskRun, outcome: MigrationSummary['outcome']): NextStep[] {
  const again = pasteLine('migrate', request);
  const verify = { why: 'Compare the content of both ends', command: pasteLine('verify', request) };
  const cleanup = {
    why: request.start
      ? 'Drop our own tables when you are done; the slot is yours'
      : 'Drop the slot, the publication and our own tables when you are done',
    command: pasteLine('cleanup', request),
  };
  if (outcome === 'stopped') return [{ why: 'Go on where this run stopped', command: again }];
  if (!request.types.has('incremental')) return [verify, cleanup];
  return [
    {
      why: 'Stop all writers on the source, then apply the last changes',
      command: `${again} --until caught-up`,
    },
    verify,
    cleanup,
  ];
}
