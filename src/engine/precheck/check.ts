/** What is looked at before anything is changed: every check reads both ends and reports findings; findings are not errors. */
import type { MigrationType } from '../../contract/task-spec.ts';
import type { TableInfo } from '../pg/catalog/tables.ts';
import type { ConnInfo } from '../pg/conninfo/conninfo.ts';
import { isConnectionLoss } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { ALL_CHECKS } from './all-checks.ts';
import { finding } from './finding.ts';

/** `alert` does not keep a migration from starting, `failed` does. */
export type CheckResult = 'passed' | 'alert' | 'failed';

export interface Finding {
  readonly check: string;
  readonly result: CheckResult;
  readonly what: string;
  /** What was seen: names, settings, pids; never row values. May be empty. */
  readonly evidence: string;
  /** SQL or a command, ready to paste; several lines with comments where there is a choice. */
  readonly fix: string | null;
}

export interface CheckContext {
  readonly source: Session;
  readonly target: Session;
  readonly sourceInfo: ConnInfo;
  readonly targetInfo: ConnInfo;
  readonly types: ReadonlySet<MigrationType>;
  /** Selected tables of the source. */
  readonly tables: readonly TableInfo[];
  /** All user tables of the target. */
  readonly targetTables: readonly TableInfo[];
}

/** Reads only. A check that does not concern the chosen types returns no finding. */
export interface Check {
  readonly name: string;
  run(context: CheckContext): Promise<Finding[]>;
}

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
