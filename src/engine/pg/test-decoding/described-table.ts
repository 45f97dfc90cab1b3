/**
 * What test_decoding does not say of a table, from the source's catalog: its oid, its replica identity, the types of its columns. Messages
 * name a table and nothing else, so a table is understood only as long as it stands under the name that the task knows it by.
 */
import { displayName, nameKey, type QualifiedName } from '../../change/relation.ts';
import type { RelationColumn, ReplicaIdentity } from '../../change/relation.ts';
import { parseSnapshot, type Snapshot } from '../../change/snapshot.ts';
import { readTables } from '../catalog/tables/tables.ts';
import type { Session } from '../session.ts';
import { currentSnapshot } from '../slot/create.ts';

/** As the task calls it. */
export interface WantedTable extends QualifiedName {
  readonly oid: number;
}

export interface DescribedColumn extends RelationColumn {
  /** As a message writes it, one character per byte: ` name[type]:`. */
  readonly head: string;
  /** Virtual generated columns have no value on the stream. */
  readonly isVirtual: boolean;
}

export interface DescribedTable extends WantedTable {
  readonly replicaIdentity: ReplicaIdentity;
  readonly columns: readonly DescribedColumn[];
}

/** A table that is not where the task knows it. */
export interface MisplacedTable extends WantedTable {
  readonly problem: string;
}

export interface Description {
  /** By nameKey of the task's name, and of the name that a misplaced one bears now. */
  readonly tables: ReadonlyMap<string, DescribedTable | MisplacedTable>;
  /** One of those that are not in their place: a name that no table bears now may have been its name for a while. */
  readonly misplaced: MisplacedTable | null;
  /** nameKeys of all tables of the source. */
  readonly others: ReadonlySet<string>;
  /** By the text that messages use. */
  readonly typeOids: ReadonlyMap<string, number>;
  readonly placement: Placement;
}

/** Which tables there are under which names, as a snapshot sees it. */
export interface Placement {
  readonly snapshot: Snapshot;
  /** One text for names and replica identities of the wanted tables: another text, other ones. */
  readonly print: string;
}

export async function readPlacement(session: Session, wanted: readonly WantedTable[]): Promise<Placement> {
  const { snapshot, print } = await session.one(
    `SELECT ${currentSnapshot(session.version)}::text AS snapshot,
            (SELECT count(*)::text || ' ' || coalesce(sum(pg_catalog.hashtext(c.oid::text || ' ' || n.nspname || '.' || c.relname || ' ' || c.relreplident::text)::bigint), 0)::text
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])) AS print`,
    [oids(wanted)],
  );
  return { snapshot: parseSnapshot(snapshot ?? ''), print: print ?? '' };
}

export async function describeTables(session: Session, wanted: readonly WantedTable[]): Promise<Description> {
  // First: what is read next has at least the DDL that this snapshot sees.
  const placement = await readPlacement(session, wanted);
  const now = await readTables(session, { sizes: false });
  const byOid = new Map(now.map((table) => [table.oid, table]));
  const known = wanted.flatMap((one) => byOid.get(one.oid) ?? []);
  const rows = await session.query(
    `SELECT a.attrelid::text AS table_oid, a.attname AS name, a.atttypmod::text AS typmod, a.atttypid::text AS type_oid,
            pg_catalog.quote_ident(a.attname) AS written, pg_catalog.format_type(a.atttypid, NULL) AS type
       FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY a.attrelid, a.attnum`,
    [oids(known)],
  );
  const byTable = Map.groupBy(rows, (row) => row.table_oid);
  const described = wanted.map((one): DescribedTable | MisplacedTable => {
    const table = byOid.get(one.oid);
    const { oid, schema, name } = one;
    if (!table) return { oid, schema, name, problem: 'it is not in the catalog any more' };
    if (nameKey(table) !== nameKey(one))
      return {
        oid,
        schema,
        name,
        problem: `it is called ${displayName(table)} now, and test_decoding tells tables by their names only`,
      };
    return {
      oid,
      schema,
      name,
      replicaIdentity: table.replicaIdentity,
      columns: (byTable.get(String(oid)) ?? []).map((row) => {
        const column = row.name ?? '';
        return {
          name: column,
          typeOid: Number(row.type_oid),
          typmod: Number(row.typmod),
          isKey: table.identityColumns.includes(column),
          head: latin1(` ${row.written}[${row.type}]:`),
          isVirtual: table.columns.some(({ name: same, generated }) => same === column && generated === 'v'),
        };
      }),
    };
  });
  const misplaced = described.filter((table) => 'problem' in table);
  return {
    tables: new Map([
      ...described.map((table) => [nameKey(table), table] as const),
      ...misplaced.flatMap((table) => {
        const elsewhere = byOid.get(table.oid);
        return elsewhere ? [[nameKey(elsewhere), table] as const] : [];
      }),
    ]),
    misplaced: misplaced[0] ?? null,
    others: new Set(now.map(nameKey)),
    typeOids: new Map(rows.map((row) => [latin1(row.type ?? ''), Number(row.type_oid)])),
    placement,
  };
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function oids(tables: readonly { readonly oid: number }[]): string {
  return `{${tables.map(({ oid }) => oid).join(',')}}`;
}
