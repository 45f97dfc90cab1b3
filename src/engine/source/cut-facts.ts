/** What the source knows about its large tables that says how to cut them: places, keys, and quantiles of keys from a sample. */
import { nameKey } from '../change/relation.ts';
import { keyOrderOf } from '../change/ordered-key.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { readUniqueKeys } from '../pg/catalog/constraints/unique-keys.ts';
import { ident, qname } from '../pg/ident.ts';
import type { Session } from '../pg/session.ts';
import type { CutFacts, OrderedKey } from './plan-cut.ts';

/** Range scans over places. */
const READS_PLACES = 140_000;

/** Facts about these tables by oid, in a few statements whatever their number. `followed`: the key must be seen in the change stream. */
export async function readCutFacts(
  source: Session,
  tables: readonly TableInfo[],
  followed: boolean,
): Promise<Map<number, CutFacts>> {
  if (tables.length === 0) return new Map();
  const keys = await readUniqueKeys(source);
  const leading = new Map(
    tables.map((table) => [table.oid, leadingColumn(table, keys.get(nameKey(table)) ?? [], followed)]),
  );
  const heap =
    source.version >= 120_000
      ? '(SELECT am.amname FROM pg_catalog.pg_am am WHERE am.oid = c.relam)'
      : "'heap'";
  const rows = await source.query(
    `SELECT c.oid::text, pg_catalog.pg_relation_filenode(c.oid)::text AS filenode, ${heap} AS method,
            (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int)::text AS blocks,
            (SELECT s.correlation::text FROM pg_catalog.pg_stats s
              WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = w.value ->> 1 AND NOT s.inherited) AS correlation
       FROM pg_catalog.json_array_elements($1::json) w
       JOIN pg_catalog.pg_class c ON c.oid = (w.value ->> 0)::pg_catalog.oid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`,
    [JSON.stringify([...leading].map(([oid, key]) => [oid, key?.column ?? null]))],
  );
  const found = new Map(rows.map((row) => [Number(row.oid), row]));
  return new Map(
    tables.flatMap((table) => {
      const row = found.get(table.oid);
      if (!row) return [];
      const key = leading.get(table.oid) ?? null;
      const correlation = row.correlation ? Number(row.correlation) : null;
      return [
        [
          table.oid,
          {
            bytes: table.bytes,
            blocks: Number(row.blocks),
            filenode: row.filenode ?? '',
            readsPlaces: source.version >= READS_PLACES && row.method === 'heap',
            key: key && { ...key, correlation },
          },
        ] as const,
      ];
    }),
  );
}

/** The first column of a unique key that has an order of ours and, where changes are followed, is sent with every old row. */
function leadingColumn(
  table: TableInfo,
  keys: readonly { readonly columns: readonly string[] }[],
  followed: boolean,
): Omit<OrderedKey, 'correlation'> | null {
  const isSent = (name: string) => table.replicaIdentity === 'full' || table.identityColumns.includes(name);
  for (const { columns } of keys) {
    const column = table.columns.find(({ name }) => name === columns[0]);
    const order = column && column.generated === '' ? keyOrderOf(column.typeOid) : null;
    if (column && order !== null && (!followed || isSent(column.name))) return { column: column.name, order };
  }
  return null;
}

/** Blocks looked at for each part, and in all at least. */
const SAMPLE_BLOCKS = 50;
const LEAST_SAMPLE = 500;

/** The key's quantiles at 1/parts, 2/parts …, from a sample of blocks: the source reads only those. Empty when the sample held no row. */
export async function sampleQuantiles(
  source: Session,
  table: TableInfo,
  { column, parts, blocks }: { readonly column: string; readonly parts: number; readonly blocks: number },
): Promise<string[]> {
  const wanted = Math.max(LEAST_SAMPLE, parts * SAMPLE_BLOCKS);
  const percent = Math.min(100, (100 * wanted) / Math.max(1, blocks));
  const fractions = Array.from({ length: parts - 1 }, (_, at) => (at + 1) / parts);
  const row = await source.one(
    `SELECT pg_catalog.array_to_json((pg_catalog.percentile_disc($1::float8[]) WITHIN GROUP (ORDER BY t.${ident(column)}))::text[])::text AS quantiles
       FROM ONLY ${qname(table)} t TABLESAMPLE SYSTEM (${percent})`,
    [`{${fractions.join(',')}}`],
  );
  const quantiles: (string | null)[] = row.quantiles ? (JSON.parse(row.quantiles) as (string | null)[]) : [];
  return quantiles.filter((value) => value !== null);
}

/** The file each table lies in now, by oid: places (ctid) mean something in one file only. */
export async function readFilenodes(
  source: Session,
  tables: readonly { readonly oid: number }[],
): Promise<Map<number, string>> {
  const rows = await source.query(
    'SELECT o.oid::text, pg_catalog.pg_relation_filenode(o.oid)::text AS filenode FROM pg_catalog.unnest($1::pg_catalog.oid[]) o(oid)',
    [`{${tables.map(({ oid }) => oid).join(',')}}`],
  );
  return new Map(rows.map((row) => [Number(row.oid), row.filenode ?? '']));
}
