/** Unique indexes by which a row can be found: valid, immediate, whole-table, over plain not-null columns. */
import { nameKey } from '../../../change/relation.ts';
import type { Row, Session } from '../../session.ts';
import { ident } from '../../ident.ts';
import { sharedLists } from '../shared.ts';
import { USER_RELATION } from '../tables/tables.ts';

export interface UniqueKey {
  /** Key columns in index order. */
  readonly columns: readonly string[];
  /** Per column the operator that decides equality in this index, as `OPERATOR("schema".=)`. */
  readonly equals: readonly string[];
}

/** Keys of all user tables by nameKey, primary key first, then fewest columns. */
export async function readUniqueKeys(session: Session): Promise<Map<string, readonly UniqueKey[]>> {
  const keyAttributes = session.version >= 110_000 ? 'i.indnkeyatts' : 'i.indnatts';
  const rows = await session.query(`
    SELECT n.nspname AS schema, c.relname AS name, i.indexrelid::text AS index, a.attname AS column, on_.nspname AS op_schema, o.oprname AS op
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL pg_catalog.generate_series(0, ${keyAttributes} - 1) k(pos)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[k.pos]
      JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[k.pos]
      JOIN pg_catalog.pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
      JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
                                AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
      JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr JOIN pg_catalog.pg_namespace on_ ON on_.oid = o.oprnamespace
     WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AND ${USER_RELATION}
       AND NOT EXISTS (SELECT FROM pg_catalog.generate_series(0, ${keyAttributes} - 1) p(pos)
                        JOIN pg_catalog.pg_attribute x ON x.attrelid = c.oid AND x.attnum = i.indkey[p.pos] WHERE NOT x.attnotnull)
     ORDER BY n.nspname, c.relname, i.indisprimary DESC, ${keyAttributes}, i.indexrelid, k.pos`);
  const keys = new Map<string, readonly UniqueKey[]>();
  const known = new Map<string, UniqueKey>();
  const shared = sharedLists<UniqueKey>();
  for (const group of Map.groupBy(rows, (row) => row.index).values()) {
    const table = nameKey({ schema: group[0]?.schema ?? '', name: group[0]?.name ?? '' });
    const text = JSON.stringify(group.map((row) => [row.column, row.op_schema, row.op]));
    const key = known.get(text) ?? keyOf(group);
    known.set(text, key);
    keys.set(table, shared([...(keys.get(table) ?? []), key]));
  }
  return keys;
}

function keyOf(columns: readonly Row[]): UniqueKey {
  return {
    columns: columns.map((row) => row.column ?? ''),
    // An operator's name is made of symbols and cannot be quoted; its schema can.
    equals: columns.map((row) => `OPERATOR(${ident(row.op_schema ?? '')}.${row.op})`),
  };
}
