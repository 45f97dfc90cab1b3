/**
 * A task that ends must not take FULL from a table that another task still follows: that one, which found it so, gives back what was there
 * before. It is told by the comment of its publication, because both know no other place.
 */
import type { QualifiedName } from '../change/relation.ts';
import { ident, literal } from '../pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';

/** What a table had before we set FULL: the words after REPLICA IDENTITY. */
export interface FormerIdentity extends QualifiedName {
  /** Survives a renaming of the table. */
  readonly oid: number;
  /** `DEFAULT`, `NOTHING` or `USING INDEX "…"`. */
  readonly identity: string;
}

const SAYS = 'opendts gives back these replica identities: ';

/** What other tasks have left to the one of this publication. */
export async function readHandedOver(source: Session, publication: string): Promise<FormerIdentity[]> {
  const [row] = await source.query(
    `SELECT pg_catalog.obj_description(p.oid, 'pg_publication') AS comment FROM pg_catalog.pg_publication p WHERE p.pubname = $1`,
    [publication],
  );
  const comment = row?.comment ?? '';
  return comment.startsWith(SAYS) ? (JSON.parse(comment.slice(SAYS.length)) as FormerIdentity[]) : [];
}

/** The publication of another task that contains the table, or null. */
export async function readOtherUser(
  source: Session,
  oid: number,
  publication: string,
): Promise<string | null> {
  const [row] = await source.query(
    `SELECT p.pubname AS name FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
      WHERE r.prrelid = $1::pg_catalog.oid AND p.pubname LIKE 'dts\\_sync\\_%' AND p.pubname <> $2 ORDER BY 1 LIMIT 1`,
    [String(oid), publication],
  );
  return row?.name ?? null;
}

/** False where the account may not write to that publication. For who is alone at the source. */
export async function handOver(
  source: Session,
  publication: string,
  former: FormerIdentity,
): Promise<boolean> {
  const there = (await readHandedOver(source, publication)).filter(({ oid }) => oid !== former.oid);
  const comment = `${SAYS}${JSON.stringify([...there, former])}`;
  try {
    await source.query(`COMMENT ON PUBLICATION ${ident(publication)} IS ${literal(comment)}`);
    return true;
  } catch (thrown) {
    if (sqlstateOf(thrown) === SQLSTATE.insufficientPrivilege) return false;
    throw thrown;
  }
}
