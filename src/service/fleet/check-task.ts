/** A precheck of a task: both ends are looked at, and what was found is kept with the task. */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import { currentSpan } from '../../base/tracing/span.ts';
import { taskPrecheck, type TaskPrecheck } from '../../contract/api/task-precheck.ts';
import { putPrecheck } from '../store/task/put-precheck.ts';
import type { CheckOutcome } from '../task/check-migration.ts';
import { requestOf } from '../task/request/request-of.ts';
import { inThread } from './in-thread.ts';
import { isFenced, type Owned } from './owner.ts';
import { patiently } from './patiently.ts';
import { failureOf, reachEnds, savedEnds } from './task-ends.ts';

export async function checkTask(owned: Owned): Promise<void> {
  let checked: CheckOutcome | null;
  try {
    checked = await check(owned);
  } catch (thrown) {
    if (isFenced(thrown)) throw thrown;
    const error = toAppError(thrown);
    if (await isEnded(owned)) return;
    currentSpan().fail(error.code);
    // Somebody waits for it: what cannot be reached now is told, not tried again.
    return owned.go('failed', { facts: { code: error.code }, set: { failure: failureOf(error) } });
  }
  if (await isEnded(owned)) return;
  if (checked !== null) await tell(owned, checked);
}

async function check(owned: Owned): Promise<CheckOutcome | null> {
  const { parts, task, leaving } = owned;
  const ends = await patiently(leaving, async () => reachEnds(parts, await savedEnds(parts, task)));
  const request = requestOf(task.spec, ends);
  const outcome = await inThread(
    owned,
    { kind: 'precheck', request },
    { onEvent: () => {}, onProgress: () => {} },
  );
  return outcome?.kind === 'precheck' ? outcome.checked : null;
}

/** The precheck was called off, or its worker is to end: another one begins anew then. */
async function isEnded(owned: Owned): Promise<boolean> {
  if ((await owned.refresh()).state === 'prechecking') return owned.leaving.aborted;
  return true;
}

async function tell(owned: Owned, checked: CheckOutcome): Promise<void> {
  const { store } = owned.parts;
  const { id: taskId, fence } = owned.task;
  const precheck = toPrecheck(checked);
  await patiently(owned.leaving, () => putPrecheck(store, { taskId, fence, precheck }));
  const failed = checked.findings.filter(({ result }) => result === 'failed');
  const alerts = checked.findings.filter(({ result }) => result === 'alert');
  const facts = { failed: failed.map((one) => one.check), alerts: alerts.map((one) => one.check) };
  if (failed.length === 0) return owned.go('precheck-passed', { facts, set: { failure: null } });
  const error = new AppError('CHECKS_FAILED', {
    problems: failed.map(({ what, evidence }) => `${what} (${evidence})`).join('; '),
    remedy: failed.flatMap(({ fix }) => fix ?? []).join('\n'),
  });
  return owned.go('precheck-failed', { facts, set: { failure: failureOf(error) } });
}

/** What the task says itself is left out. */
function toPrecheck(checked: CheckOutcome): TaskPrecheck {
  const text = JSON.stringify(checked, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return taskPrecheck.parse(JSON.parse(text));
}
