/** The dead letters that are kept on a target: counted, listed, dropped. */
import { readable, UNCHANGED, type ByteText, type Cell, type Tuple } from '../../change/change.ts';
import { parseLsn, type Lsn } from '../../change/lsn.ts';
import type { QualifiedName } from '../../change/relation.ts';
import type { Row, Session } from '../../pg/session.ts';

export interface LetterCount {
  readonly taskId: string;
  /** Name on the source. */
  readonly table: QualifiedName;
  readonly letters: bigint;
}

export interface Letter {
  readonly id: string;
  readonly taskId: string;
  readonly table: QualifiedName;
  readonly target: QualifiedName;
  readonly finalLsn: Lsn;
  readonly ordinal: bigint;
  readonly kind: 'insert' | 'update' | 'delete';
  /** Of the row as it was before; empty for a table without a key. */
  readonly keyColumns: readonly string[];
  readonly key: readonly (ByteText | null)[];
  readonly code: string;
  readonly sqlstate: string;
  /** The text a person reads; of the last attempt. */
  readonly reason: string;
  readonly madeAt: string;
  /** When it was replayed last and refused again. */
  readonly triedAt: string | null;
}

/** What a letter says of the row. */
export interface LetterRows {
  readonly columns: readonly string[];
  /** Columns whose old values are known. */
  readonly oldColumns: ReadonlySet<string>;
  readonly old: Tuple | null;
  readonly new: Tuple | null;
}

export async function countLetters(session: Session, taskId?: string): Promise<LetterCount[]> {
  const rows = await session.query(
    `SELECT task_id, schema_name, table_name, count(*)::text AS letters FROM _opendts.dead_letter
      WHERE $1::text IS NULL OR task_id = $1 GROUP BY 1, 2, 3 ORDER BY 2, 3, 1`,
    [taskId ?? null],
  );
  return rows.map((row) => ({
    taskId: row.task_id ?? '',
    table: { schema: row.schema_name ?? '', name: row.table_name ?? '' },
    letters: BigInt(row.letters ?? '0'),
  }));
}

/** Of these tables, or with these numbers. */
export interface LetterChoice {
  readonly tables: readonly Pick<LetterCount, 'taskId' | 'table'>[];
  readonly ids: readonly bigint[];
}

const CHOSEN = `(l.id = ANY ($1::bigint[]) OR EXISTS (SELECT FROM pg_catalog.json_array_elements($2::json) t
  WHERE l.task_id = t.value ->> 0 AND l.schema_name = t.value ->> 1 AND l.table_name = t.value ->> 2))`;

function chosen({ tables, ids }: LetterChoice): string[] {
  return [
    `{${ids.join(',')}}`,
    JSON.stringify(tables.map(({ taskId, table }) => [taskId, table.schema, table.name])),
  ];
}

const HEAD = `l.id::text AS id, l.task_id, l.schema_name, l.table_name, l.target_schema, l.target_name, l.final_lsn::text AS final_lsn,
  l.ordinal::text AS ordinal, l.kind, pg_catalog.array_to_json(l.key_columns)::text AS key_columns, l.code, l.sqlstate, l.reason,
  l.made_at::text AS made_at, l.tried_at::text AS tried_at, ${hexOf('l.key_values', null)} AS key_values`;

/** In the order in which they were refused, which is that of the stream; behind the letter `after`. */
export async function readLetters(
  session: Session,
  choice: LetterChoice,
  { after, limit }: { after: string; limit: number },
): Promise<Letter[]> {
  const rows = await session.query(
    `SELECT ${HEAD} FROM _opendts.dead_letter l WHERE ${CHOSEN} AND l.id > $3::bigint ORDER BY l.id LIMIT $4::bigint`,
    [...chosen(choice), after, String(limit)],
  );
  return rows.map(letterOf);
}

export async function dropLetters(session: Session, choice: LetterChoice): Promise<number> {
  const rows = await session.query(
    `DELETE FROM _opendts.dead_letter l WHERE ${CHOSEN} RETURNING 1 AS one`,
    chosen(choice),
  );
  return rows.length;
}

function letterOf(row: Row): Letter {
  return {
    id: row.id ?? '',
    taskId: row.task_id ?? '',
    table: { schema: row.schema_name ?? '', name: row.table_name ?? '' },
    target: { schema: row.target_schema ?? '', name: row.target_name ?? '' },
    finalLsn: parseLsn(row.final_lsn ?? ''),
    ordinal: BigInt(row.ordinal ?? '0'),
    kind: row.kind as Letter['kind'],
    keyColumns: namesOf(row.key_columns),
    key: cellsOf(row.key_values) ?? [],
    code: row.code ?? '',
    sqlstate: row.sqlstate ?? '',
    reason: row.reason ?? '',
    madeAt: row.made_at ?? '',
    triedAt: row.tried_at ?? null,
  };
}

/** The rows of a letter, each value up to so many bytes; null when there is no such letter. */
export async function readLetterRows(
  session: Session,
  id: string,
  bytes: number | null = null,
): Promise<LetterRows | null> {
  const [row] = await session.query(
    `SELECT pg_catalog.array_to_json(columns)::text AS columns, pg_catalog.array_to_json(identity_columns)::text AS identity_columns,
            pg_catalog.array_to_json(unchanged)::text AS unchanged, identity, kind, ${hexOf('old_row', bytes)} AS old_row, ${hexOf('new_row', bytes)} AS new_row,
            (old_row IS NULL)::text AS lacks_old, (new_row IS NULL)::text AS lacks_new
       FROM _opendts.dead_letter WHERE id = $1::bigint`,
    [id],
  );
  if (!row) return null;
  const columns = namesOf(row.columns);
  const unchanged = new Set(namesOf(row.unchanged));
  const after = row.lacks_new === 'true' ? null : (cellsOf(row.new_row) ?? []);
  return {
    columns,
    oldColumns: new Set(row.identity === 'full' ? columns : namesOf(row.identity_columns)),
    old: row.lacks_old === 'true' ? null : (cellsOf(row.old_row) ?? []),
    new: after?.map((cell, at): Cell => (unchanged.has(columns[at] ?? '') ? UNCHANGED : cell)) ?? null,
  };
}

/** An array of bytea as one text: hexadecimal, parted by commas; `~` stands for NULL. NULL for an empty array. */
function hexOf(column: string, bytes: number | null): string {
  const value = bytes === null ? 'u.v' : `pg_catalog.substring(u.v, 1, ${bytes})`;
  return `(SELECT pg_catalog.string_agg(coalesce(pg_catalog.encode(${value}, 'hex'), '~'), ',' ORDER BY u.n) FROM unnest(${column}) WITH ORDINALITY u(v, n))`;
}

function cellsOf(text: string | null | undefined): (ByteText | null)[] | null {
  if (text == null) return null;
  return text
    .split(',')
    .map((hex) => (hex === '~' ? null : (Buffer.from(hex, 'hex').toString('latin1') as ByteText)));
}

export function namesOf(json: string | null | undefined): string[] {
  return JSON.parse(json ?? '[]') as string[];
}

/** `(id) = (7)`, cut short; for a table without a key that it has none. */
export function describeLetterKey({ keyColumns, key }: Pick<Letter, 'keyColumns' | 'key'>): string {
  if (keyColumns.length === 0) return '(no key)';
  const cells = key.map((cell) => (cell === null ? 'NULL' : readable(cell).slice(0, 80)));
  return `(${keyColumns.join(', ')}) = (${cells.join(', ')})`;
}
