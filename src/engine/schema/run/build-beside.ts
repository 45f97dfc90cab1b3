/**
 * Builds an index while others write to its table (CREATE INDEX CONCURRENTLY). That cannot run in a transaction, so what is to be built is
 * written down first: what an earlier run has left of an index of ours is then known from one of the user's.
 */
import type { QualifiedName } from '../../change/relation.ts';
import { qname } from '../../pg/ident.ts';
import { PgError, SQLSTATE, sqlstateOf } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import type { SchemaStep } from '../plan.ts';

const CREATE = /^CREATE (UNIQUE )?INDEX (?!CONCURRENTLY )/;

/** An index of one table of at least so many bytes; those of partitioned tables are made of their partitions'. */
export function isBuiltBeside(
  { phase, relkind, weight, statements }: SchemaStep,
  from: bigint | undefined,
): boolean {
  const create = statements[0] ?? '';
  return (
    from !== undefined &&
    phase === 'index' &&
    relkind === 'i' &&
    weight >= from &&
    CREATE.test(create) &&
    !create.includes(' ON ONLY ')
  );
}

const ANNOUNCED = 'building ';

/** Whether a recorded id is no step's, but says that one was begun. */
export function isAnnouncement(id: string): boolean {
  return id.startsWith(ANNOUNCED);
}

/** The steps that earlier runs have announced, from the ids that they recorded. */
export function announcedOf(done: ReadonlySet<string>): Set<string> {
  return new Set([...done].filter(isAnnouncement).map((id) => id.slice(ANNOUNCED.length)));
}

export interface BesideRun {
  /** Steps, by id, of which it is written down that we build them. */
  readonly announced: Set<string>;
  readonly record: (session: Session, steps: readonly SchemaStep[]) => Promise<void>;
}

/** Runs the first statement of the step. False where the server cannot, as Greenplum: nothing has happened then. */
export async function buildBeside(session: Session, step: SchemaStep, run: BesideRun): Promise<boolean> {
  const { creates, statements } = step;
  if (!creates) return false;
  const isOurs = run.announced.has(step.id);
  const left = isOurs ? await isValid(session, creates) : null;
  if (left === true) return true;
  if (left === false) await session.query(`DROP INDEX CONCURRENTLY ${qname(creates)}`);
  if (!isOurs)
    await session.transaction(() => run.record(session, [{ ...step, id: `${ANNOUNCED}${step.id}` }]));
  run.announced.add(step.id);
  try {
    await session.query((statements[0] ?? '').replace(CREATE, 'CREATE $1INDEX CONCURRENTLY '));
    return true;
  } catch (thrown) {
    if (sqlstateOf(thrown) === SQLSTATE.featureNotSupported) return false;
    // Half an index would go on to refuse rows. One that was there before is not ours.
    if (thrown instanceof PgError && thrown.sqlstate !== SQLSTATE.duplicateTable)
      await dropHalf(session, creates);
    throw thrown;
  }
}

/** What cannot be dropped now is dropped by the next run. */
async function dropHalf(session: Session, index: QualifiedName): Promise<void> {
  try {
    if ((await isValid(session, index)) === false)
      await session.query(`DROP INDEX CONCURRENTLY ${qname(index)}`);
  } catch {
    // What the build was refused for is what counts.
  }
}

/** Null when there is no such index. */
async function isValid(session: Session, { schema, name }: QualifiedName): Promise<boolean | null> {
  const [row] = await session.query(
    `SELECT i.indisvalid AS valid FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  return row ? row.valid === 't' : null;
}
