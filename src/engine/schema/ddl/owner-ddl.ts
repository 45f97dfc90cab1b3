/** ALTER … OWNER TO, where the account of the migration may say so, and who owns an object on the target in the end. */
import type { OwnerInfo } from '../../pg/catalog/rights/owners.ts';
import { ident } from '../../pg/ident.ts';
import type { DraftContext } from '../draft.ts';
import type { TargetFacts } from '../target-facts.ts';
import { membershipSql } from './role-ddl.ts';
import type { Subject } from './rights-subjects.ts';

export interface OwnerChange {
  readonly statements: readonly string[];
  readonly roles: readonly string[];
  /** On the target; null where nobody has chosen him, or he is not known. */
  readonly owner: string | null;
}

interface Around {
  readonly id: string;
  readonly context: DraftContext;
  /** Whether the role may create in the schema of the object, once the rights of that have been set. */
  readonly mayCreate: (role: string) => boolean;
}

export function ownerChange(
  subject: Subject,
  info: OwnerInfo | undefined,
  { id, context, mayCreate }: Around,
): OwnerChange {
  const { account } = context.target.rights;
  const stays = { statements: [], roles: [] };
  // The schema public as every database has it.
  if (info === undefined) return { ...stays, owner: null };
  const { owner } = info;
  if (owner === account) return { ...stays, owner };
  const isWanted = context.rights.owners === 'keep';
  const reason = isWanted ? ownerObstacle(owner, subject, context.target) : null;
  if (!isWanted || reason !== null) {
    const reasons = [...(reason === null ? [] : [reason]), ...(info.isSecurityDefiner ? [RUNS_AS] : [])];
    // Where owners are only compared, nobody keeps anything.
    if (reasons.length > 0 && subject.altered.length > 0 && account !== null)
      context.remark(subject.of, `owner of ${id}`, reasons.join('; '));
    return { ...stays, owner: account };
  }
  const statements = subject.altered.map((what) => `ALTER ${what} OWNER TO ${ident(owner)}`);
  const isAllowed =
    context.target.isSuperuser ||
    subject.isSchema ||
    context.target.rights.foreignSchemas.has(subject.schema) ||
    mayCreate(owner);
  return {
    statements:
      isAllowed || statements.length === 0 ? statements : meanwhile(statements, subject.schema, owner),
    roles: [owner],
    owner,
  };
}

const RUNS_AS = 'it is SECURITY DEFINER, and runs with the rights of the account of the migration';

/** Something in a schema can only be given to who may create there; on the source he may own it without. */
function meanwhile(statements: readonly string[], schema: string, owner: string): string[] {
  const right = `CREATE ON SCHEMA ${ident(schema)}`;
  return [`GRANT ${right} TO ${ident(owner)}`, ...statements, `REVOKE ${right} FROM ${ident(owner)}`];
}

/** Why the account cannot give the object to this role, with what would change that; null where it can. */
function ownerObstacle(owner: string, { schema, isSchema }: Subject, target: TargetFacts): string | null {
  const { becomes, foreignSchemas, account } = target.rights;
  if (!target.roles.has(owner)) return `the target lacks role ${ident(owner)}`;
  if (!becomes.has(owner))
    return `the account of the migration is not a member of that role: ${membershipSql({ role: owner, account: account ?? '', version: target.version })}`;
  const creators = isSchema ? undefined : foreignSchemas.get(schema);
  if (creators && !creators.has(owner)) return `that role may not create there: ${createSql(schema, owner)}`;
  return null;
}

export function createSql(schema: string, role: string): string {
  return `GRANT CREATE ON SCHEMA ${ident(schema)} TO ${ident(role)}`;
}
