/** A captured DDL command as the change stream brings it. Pure. What writes the rows: ddl-capture-sql.ts. */
import { z } from 'zod';
import { readable, UNCHANGED, type RowChange } from '../../change/change.ts';
import { nameKey, type QualifiedName } from '../../change/relation.ts';
import { DDL_COMMAND } from './helper-tables.ts';

/**
 * `rename` is told by the word in the text; what a table was called before is known by its oid. A renamed schema (`ALTER SCHEMA`) names no
 * table: all of the schema's have new names.
 */
export type DdlKind = 'create-table' | 'alter-table' | 'drop' | 'index' | 'rename' | 'other';

export interface DdlColumn {
  readonly attnum: number;
  readonly name: string;
  /** With length or precision, schema-qualified where needed. */
  readonly type: string;
  readonly notNull: boolean;
  /** Null where the capture in the source is an older one. */
  readonly more: MoreOfColumn | null;
}

const moreJson = z.object({
  oid: z.number(),
  mod: z.number(),
  generated: z.enum(['', 's', 'v']).default(''),
  identity: z.enum(['', 'a', 'd']).default(''),
  /** The server kept one value for the rows that were there when it was added. */
  missing: z.boolean().default(false),
  default: z.boolean().default(false),
  /** That value as text, where it could be had. */
  value: z.string().nullable().default(null),
  collation: z.string().nullable().default(null),
});
export type MoreOfColumn = z.infer<typeof moreJson>;

export interface DdlTable extends QualifiedName {
  readonly oid: number;
  /** As they are behind the command; null when the table, or a part of it that names no columns, was dropped. */
  readonly columns: readonly DdlColumn[] | null;
}

export interface DdlEvent {
  /** The server's command tag: `ALTER TABLE`. */
  readonly tag: string;
  readonly kind: DdlKind;
  /** Tables concerned, each once: also those of indexes, constraints, triggers. Empty for other objects, and where an index was dropped. */
  readonly tables: readonly DdlTable[];
  /** What it was about, in the server's words: `table public.orders`, `index public.orders_at`. */
  readonly objects: readonly string[];
  /**
   * What the client sent, for the user alone: it may hold values, other statements beside the command (`a; b`), and is not the command
   * itself where `isNested`, because a function or a DO block ran it.
   */
  readonly text: string;
  /** The text was longer. */
  readonly isCut: boolean;
  readonly isNested: boolean;
  readonly user: string;
  /** By the source's clock: `2024-05-01 12:00:00.123456+00`. */
  readonly time: string;
  readonly xid: bigint;
}

const objectsJson = z.array(
  z.object({
    type: z.string(),
    identity: z.string().nullable(),
    table: z.object({ oid: z.coerce.number(), schema: z.string(), name: z.string() }).nullable(),
    columns: z.array(z.tuple([z.number(), z.string(), z.string(), z.boolean()], moreJson)).nullable(),
  }),
);
type DdlObject = z.infer<typeof objectsJson>[number];

/** The command that a change brings; null for any other change, and for a row that is none of ours. */
export function ddlEventOf(change: RowChange): DdlEvent | null {
  if (change.kind !== 'insert' || nameKey(change.relation) !== nameKey(DDL_COMMAND)) return null;
  const text = (column: string): string => {
    const cell = change.new[change.relation.columns.findIndex(({ name }) => name === column)];
    return cell == null || cell === UNCHANGED ? '' : readable(cell);
  };
  const objects = parseObjects(text('objects'));
  if (objects === null) return null;
  const tag = text('tag');
  return {
    tag,
    kind: kindOf(tag, text('ddl_text'), objects),
    tables: tablesOf(objects),
    objects: [
      ...new Set(objects.map(({ type, identity }) => (identity === null ? type : `${type} ${identity}`))),
    ],
    text: text('ddl_text'),
    isCut: text('is_cut') === 't',
    isNested: text('is_nested') === 't',
    user: text('username'),
    time: text('event_time'),
    xid: BigInt(text('txid_current') || '0'),
  };
}

function parseObjects(json: string): DdlObject[] | null {
  try {
    return objectsJson.safeParse(JSON.parse(json)).data ?? null;
  } catch {
    return null;
  }
}

function tablesOf(objects: readonly DdlObject[]): DdlTable[] {
  const tables = new Map<number, DdlTable>();
  for (const { table, columns } of objects) {
    if (table === null) continue;
    const shape =
      columns?.map(([attnum, name, type, notNull, more = null]) => ({ attnum, name, type, notNull, more })) ??
      null;
    tables.set(table.oid, { ...table, columns: shape });
  }
  return [...tables.values()];
}

function kindOf(tag: string, text: string, objects: readonly DdlObject[]): DdlKind {
  if (/^(CREATE TABLE|CREATE TABLE AS|SELECT INTO)$/.test(tag)) return 'create-table';
  const types = new Set(objects.map(({ type }) => type));
  if (tag.startsWith('DROP ') && types.has('table')) return 'drop';
  // DROP TYPE … CASCADE takes columns with it.
  if (tag.startsWith('DROP ') && types.has('table column')) return 'alter-table';
  if (types.size === 1 && types.has('index')) return 'index';
  const renames = /\brename\b/i.test(text);
  if (tag === 'ALTER SCHEMA') return renames ? 'rename' : 'other';
  // The server takes ALTER TABLE for views and sequences too.
  if (tag !== 'ALTER TABLE' || !objects.some(({ table }) => table !== null)) return 'other';
  return renames && types.has('table') ? 'rename' : 'alter-table';
}
