/** What is looked at before anything is changed: every check reads both ends and reports findings; findings are not errors. */
import type {
  ConflictMode,
  DdlCapture,
  MigrationType,
  PartitionMode,
  ReplicaIdentityPolicy,
} from '../../contract/task-spec.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import type { ConnInfo } from '../pg/conninfo/conninfo.ts';
import type { Session } from '../pg/session.ts';
import type { FirstModel } from '../schema/first-model.ts';
import type { RightsChoice } from '../schema/rights/rights-choice.ts';
import type { WishOf } from '../selection/table-wishes.ts';
import type { TargetNames } from '../selection/target-names.ts';
import type { DecoderWish } from '../source/decoder-choice.ts';
import type { StartPosition } from '../source/start-position.ts';

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
  /** How what the source calls something is called on the target. */
  readonly mapping: TargetNames;
  /** What is followed of a source table, and which of its rows are migrated. */
  readonly wishOf: WishOf;
  readonly conflict: ConflictMode;
  /** Extensions that the target lacks are created where the account may. */
  readonly createExtensions?: boolean;
  readonly partitions: PartitionMode;
  /** Not only the tables that were named. */
  readonly wholeDatabase: boolean;
  /** What the migration may have in the source while it lives. */
  readonly heartbeat: boolean;
  readonly captureDdl: DdlCapture;
  readonly replicaIdentity: ReplicaIdentityPolicy;
  /** What becomes of owners and rights; none: everything belongs to the account of the migration. */
  readonly rights?: RightsChoice;
  /** Tables copied at the same time. */
  readonly jobs: number;
  /** Named by the user: a publication to read through, and where to begin. */
  readonly publication?: string;
  readonly start?: StartPosition;
  readonly decoder?: DecoderWish['wanted'];
  /** Where what is read of the schema stays for the plan. */
  readonly firstModel?: FirstModel;
}

/** Leaves nothing behind: reads only, or rolls back. A check that does not concern the chosen types returns no finding. */
export interface Check {
  readonly name: string;
  run(context: CheckContext): Promise<Finding[]>;
}
