/** What the plan must know of the target: what it has, and what the account may do there. Read by read-target-facts.ts. */
import type { BuiltinNames } from '../pg/catalog/builtin-names.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { RightsFacts } from './rights/rights-facts.ts';

export interface TargetFacts {
  /** `server_version_num` */
  readonly version: number;
  readonly isSuperuser: boolean;
  /** The account sees all rows, whatever policies say. */
  readonly bypassesRowSecurity: boolean;
  readonly roles: ReadonlySet<string>;
  readonly rights: RightsFacts;
  /** In which the account may write functions. */
  readonly languages: ReadonlySet<string>;
  /** Parameters of its configuration, in small letters. */
  readonly settings: ReadonlySet<string>;
  readonly accessMethods: ReadonlySet<string>;
  readonly extensions: ReadonlySet<string>;
  /** Those it lacks that are to be created, because the user wants that and the account may. */
  readonly creatable: ReadonlySet<string>;
  readonly hasLz4: boolean;
  readonly builtins: BuiltinNames;
  /** Collations, dictionaries and settings, for which a server must have something: what this one said to them. */
  readonly refused: ReadonlyMap<ObjectKey, string>;
}
