/** Which names are no table, or other relation, of the session's database. */
import type { QualifiedName } from '../../../change/relation.ts';
import { qname } from '../../ident.ts';
import type { Session } from '../../session.ts';

export async function absentTables<Table extends QualifiedName>(
  session: Session,
  tables: readonly Table[],
): Promise<Table[]> {
  const absent = await session.query(
    `SELECT t.place::text AS place FROM pg_catalog.json_array_elements_text($1::json) WITH ORDINALITY t(name, place)
      WHERE pg_catalog.to_regclass(t.name) IS NULL`,
    [JSON.stringify(tables.map((table) => qname(table)))],
  );
  return absent.flatMap(({ place }) => tables[Number(place) - 1] ?? []);
}
