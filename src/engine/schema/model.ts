/** Everything about a source's schema that the plan is made from: plain data, read by read-model.ts. */
import type { AggregateInfo } from '../pg/catalog/aggregates.ts';
import type { BuiltinNames } from '../pg/catalog/builtin-names.ts';
import type { CommentInfo } from '../pg/catalog/comments.ts';
import type { CompositeInfo } from '../pg/catalog/types/composites.ts';
import type { ConstraintInfo } from '../pg/catalog/constraints/constraints.ts';
import type { Dependency } from '../pg/catalog/dependencies.ts';
import type { DomainInfo } from '../pg/catalog/types/domains.ts';
import type { EnumInfo } from '../pg/catalog/types/enums.ts';
import type { ExtendedStatisticsInfo } from '../pg/catalog/constraints/extended-statistics.ts';
import type { ExtensionMember } from '../pg/catalog/extensions/extension-members.ts';
import type { ExtensionInfo } from '../pg/catalog/extensions/extensions.ts';
import type { IndexInfo } from '../pg/catalog/constraints/indexes.ts';
import type { NotMigratedInfo } from '../pg/catalog/not-migrated.ts';
import type { CastInfo } from '../pg/catalog/operators/casts.ts';
import type { OperatorClasses } from '../pg/catalog/operators/operator-classes.ts';
import type { OperatorInfo } from '../pg/catalog/operators/operators.ts';
import type { PolicyInfo } from '../pg/catalog/policies.ts';
import type { RangeInfo } from '../pg/catalog/types/ranges.ts';
import type { Rights } from '../pg/catalog/rights/rights.ts';
import type { RoutineInfo } from '../pg/catalog/routines.ts';
import type { RuleInfo } from '../pg/catalog/rules.ts';
import type { SchemaInfo } from '../pg/catalog/schemas.ts';
import type { SequenceInfo } from '../pg/catalog/sequences.ts';
import type { TableDefinition } from '../pg/catalog/tables/table-definitions.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import type { CollationInfo } from '../pg/catalog/text/collations.ts';
import type { ConversionInfo } from '../pg/catalog/text/conversions.ts';
import type { TextSearch } from '../pg/catalog/text/text-search.ts';
import type { TriggerInfo } from '../pg/catalog/triggers.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { ViewInfo } from '../pg/catalog/views.ts';

export interface TableModel {
  readonly key: ObjectKey;
  readonly info: TableInfo;
  readonly definition: TableDefinition;
}

export interface PartToLookAt {
  /** `body` of a function, `row type` of a table. */
  readonly part: string;
  readonly reason: string;
}

/** What one schema of the source had, and the target's does not have because others are in it too. */
export interface LostInMerging {
  /** The schema. */
  readonly object: ObjectKey;
  readonly aspect: 'owner' | 'grants' | 'comment';
  /** `owner of schema x`. */
  readonly id: string;
  readonly reason: string;
}

export interface SchemaModel {
  /** `server_version_num` of the source. */
  readonly version: number;
  readonly schemas: readonly SchemaInfo[];
  readonly enums: readonly EnumInfo[];
  readonly domains: readonly DomainInfo[];
  readonly composites: readonly CompositeInfo[];
  readonly ranges: readonly RangeInfo[];
  readonly sequences: readonly SequenceInfo[];
  readonly tables: readonly TableModel[];
  readonly constraints: readonly ConstraintInfo[];
  readonly indexes: readonly IndexInfo[];
  readonly views: readonly ViewInfo[];
  readonly routines: readonly RoutineInfo[];
  readonly aggregates: readonly AggregateInfo[];
  readonly triggers: readonly TriggerInfo[];
  readonly rules: readonly RuleInfo[];
  readonly operators: readonly OperatorInfo[];
  readonly operatorClasses: OperatorClasses;
  readonly casts: readonly CastInfo[];
  readonly collations: readonly CollationInfo[];
  readonly conversions: readonly ConversionInfo[];
  readonly textSearch: TextSearch;
  readonly statistics: readonly ExtendedStatisticsInfo[];
  readonly policies: readonly PolicyInfo[];
  readonly comments: readonly CommentInfo[];
  /** Owners, grants, roles: by key, so that a change of names does not concern them. */
  readonly rights: Rights;
  readonly dependencies: readonly Dependency[];
  readonly extensions: readonly ExtensionInfo[];
  readonly extensionMembers: readonly ExtensionMember[];
  /** What the server itself has. */
  readonly builtins: BuiltinNames;
  readonly notMigrated: readonly NotMigratedInfo[];
  /** Objects, or parts of them, whose definition cannot be put into the names of the target: why. */
  readonly unwritable: ReadonlyMap<ObjectKey, string>;
  /** Those that are made with something as it was, which may mention other names, or without it. */
  readonly toLookAt: ReadonlyMap<ObjectKey, PartToLookAt>;
  readonly lostInMerging: readonly LostInMerging[];
}
