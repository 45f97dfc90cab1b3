/** Runs the checks, and makes a finding of whatever one of them throws. */
import { AppError } from '../../base/errors/app-error.ts';
import { isConnectionLoss } from '../pg/pg-error.ts';
import { ALL_CHECKS } from './all-checks.ts';
import type { Check, CheckContext, Finding } from './check.ts';
import { finding } from './finding.ts';

/**
 * Runs all checks one after the other, in the order of the list. A check that throws becomes a failed finding with the reason; only a
 * lost connection (CONNECTION_LOST) and an abort end the run.
 */
export async function runChecks(
  context: CheckContext,
  signal?: AbortSignal,
  checks: readonly Check[] = ALL_CHECKS,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) {
    signal?.throwIfAborted();
    try {
      findings.push(...(await check.run(context)));
    } catch (thrown) {
      if (isConnectionLoss(thrown) || (thrown instanceof AppError && thrown.code === 'CONNECTION_LOST'))
        throw thrown;
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      findings.push(finding(check.name, 'failed', { what: 'could not be checked', evidence: reason }));
    }
  }
  return findings;
}
