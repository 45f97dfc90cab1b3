/** Compares sequences: the target must never give out a number that the source has already given. Being ahead is no fault. */
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { literal, qname } from '../pg/ident.ts';
import { USER_RELATION } from '../pg/catalog/tables/tables.ts';
import type { Session } from '../pg/session.ts';

export interface SequenceComparison {
  /** Sequences of the source that were compared. */
  readonly count: number;
  /** `schema.name` of those that the target lacks, or where its next number comes before the source's. */
  readonly behind: readonly string[];
}

interface Position extends QualifiedName {
  readonly next: bigint;
  readonly increment: bigint;
}

export async function compareSequences(source: Session, target: Session): Promise<SequenceComparison> {
  const here = await readPositions(source);
  const there = new Map((await readPositions(target)).map((position) => [nameKey(position), position.next]));
  const behind = here.filter((position) => {
    const next = there.get(nameKey(position));
    return next === undefined || (position.increment > 0n ? next < position.next : next > position.next);
  });
  return { count: here.length, behind: behind.map(displayName) };
}

async function readPositions(session: Session): Promise<Position[]> {
  const sequences = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND ${USER_RELATION} ORDER BY n.nspname, c.relname`,
  );
  if (sequences.length === 0) return [];
  const names = sequences.map(({ schema, name }) => ({ schema: schema ?? '', name: name ?? '' }));
  const rows = await session.query(
    names.map((name, index) => positionSql(name, index, session.version)).join(' UNION ALL '),
  );
  return rows.map((row) => {
    const { schema, name } = names[Number(row.index)] ?? { schema: '', name: '' };
    return { schema, name, next: BigInt(row.next ?? '0'), increment: BigInt(row.increment ?? '1') };
  });
}

/** Until version 10 a sequence's own row holds its increment. */
function positionSql(name: QualifiedName, index: number, version: number): string {
  const increment =
    version >= 100_000
      ? `(SELECT p.seqincrement FROM pg_catalog.pg_sequence p WHERE p.seqrelid = ${literal(qname(name))}::pg_catalog.regclass)`
      : 's.increment_by';
  // As numeric: the last number of a bigint sequence has no successor in bigint.
  return `SELECT ${index} AS index, ${increment}::pg_catalog.text AS increment,
    (s.last_value::pg_catalog.numeric + CASE WHEN s.is_called THEN ${increment} ELSE 0 END)::pg_catalog.text AS next FROM ${qname(name)} AS s`;
}
