/** Owners and rights of every kind, for the tests of their migration, and what the catalogs say of them afterwards, without our readers. */
import { randomBytes } from 'node:crypto';
import { ident, literal } from '../src/engine/pg/ident.ts';
import type { TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';

/** Roles belong to a whole server, so each test has its own. */
export interface Roles extends AsyncDisposable {
  readonly owner: string;
  readonly app: string;
  readonly reader: string;
  readonly team: string;
  readonly all: readonly string[];
}

/** On the servers of these databases; taken away there at the end, also where somebody else has made them. */
export async function freshRoles(
  made: readonly TestDatabase[],
  others: readonly TestDatabase[] = [],
): Promise<Roles> {
  const own = randomBytes(4).toString('hex');
  const names = {
    owner: `Owner "${own}"; x`,
    app: `public_${own}`,
    reader: `Читатель ${own}`,
    team: `select.${own}'s\\`,
  };
  const all = Object.values(names);
  for (const { session } of made) {
    const there = await present(session, all);
    for (const name of all.filter((one) => !there.has(one)))
      await session.query(`CREATE ROLE ${ident(name)}`);
  }
  return { ...names, all, [Symbol.asyncDispose]: () => dropRoles([...made, ...others], all) };
}

async function present(session: TestDatabase['session'], names: readonly string[]): Promise<Set<string>> {
  const rows = await session.query(
    `SELECT rolname AS name FROM pg_roles WHERE rolname IN (${names.map(literal).join(', ')})`,
  );
  return new Set(rows.map(({ name }) => name ?? ''));
}

/** One after the other: DROP OWNED stumbles over default privileges that name two of its roles. */
export async function dropRoles(databases: readonly TestDatabase[], names: readonly string[]): Promise<void> {
  for (const sql of [
    (name: string) => `DROP OWNED BY ${name} CASCADE`,
    (name: string) => `DROP ROLE ${name}`,
  ])
    for (const { session } of databases) {
      await session.query('RESET ROLE');
      for (const name of await present(session, names)) await session.query(sql(ident(name)));
    }
}

/** The schema of it all. */
export const S = '"Rights ""s"""';

/** Everything that can have an owner or rights. Runs with PostgreSQL's own search_path. */
export function rightsSchema({ owner, app, reader, team }: Roles, major: Major, database: string): string {
  const [o, a, r, t] = [owner, app, reader, team].map(ident);
  return `
    CREATE SCHEMA ${S}; CREATE SCHEMA closed;
    GRANT USAGE ON SCHEMA ${S} TO ${r}, ${t}; GRANT USAGE, CREATE ON SCHEMA ${S} TO ${a} WITH GRANT OPTION;
    GRANT CREATE ON SCHEMA public TO ${a}; GRANT USAGE ON SCHEMA public TO ${r} WITH GRANT OPTION;

    CREATE TABLE ${S}.t (gone integer, id integer GENERATED ALWAYS AS IDENTITY, a text, "b c" integer, n serial);
    ALTER TABLE ${S}.t DROP COLUMN gone;
    CREATE INDEX t_a ON ${S}.t (a); CREATE STATISTICS ${S}.st ON a, "b c" FROM ${S}.t;
    CREATE TABLE ${S}."p.t" (id integer, v text) PARTITION BY RANGE (id);
    CREATE TABLE ${S}.p1 PARTITION OF ${S}."p.t" FOR VALUES FROM (0) TO (9);
    CREATE TABLE public.plain (id integer PRIMARY KEY);
    CREATE VIEW ${S}.v AS SELECT id, a FROM ${S}.t; CREATE MATERIALIZED VIEW ${S}.m AS SELECT id, a FROM ${S}.v;
    CREATE SEQUENCE ${S}.alone;
    CREATE FUNCTION ${S}.f(integer, VARIADIC text[]) RETURNS integer LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION ${S}.f() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 2';
    CREATE PROCEDURE ${S}.pr(INOUT x integer) LANGUAGE plpgsql AS 'BEGIN x := 1; END';
    CREATE AGGREGATE ${S}.agg(integer) (SFUNC = int4pl, STYPE = integer);
    CREATE AGGREGATE ${S}.every_row(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0');
    CREATE AGGREGATE ${S}.third(double precision ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
    CREATE TYPE ${S}.e AS ENUM ('a'); CREATE TYPE ${S}.c AS (x integer); CREATE DOMAIN ${S}.d AS text; CREATE TYPE ${S}.ra AS RANGE (SUBTYPE = integer);
    CREATE OPERATOR ${S}.<~ (PROCEDURE = int4lt, LEFTARG = integer, RIGHTARG = integer);
    CREATE OPERATOR FAMILY ${S}.fam USING btree;
    CREATE OPERATOR CLASS ${S}.cls FOR TYPE integer USING btree FAMILY ${S}.fam AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);
    CREATE COLLATION ${S}.co FROM "C"; CREATE CONVERSION ${S}.cv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
    CREATE TEXT SEARCH DICTIONARY ${S}.di (TEMPLATE = simple); CREATE TEXT SEARCH CONFIGURATION ${S}.cf (COPY = simple);

    ALTER SCHEMA ${S} OWNER TO ${o}; ALTER TABLE ${S}.t OWNER TO ${o}; ALTER TABLE ${S}."p.t" OWNER TO ${o}; ALTER TABLE ${S}.p1 OWNER TO ${a};
    ALTER VIEW ${S}.v OWNER TO ${o}; ALTER MATERIALIZED VIEW ${S}.m OWNER TO ${a}; ALTER SEQUENCE ${S}.alone OWNER TO ${a};
    ALTER FUNCTION ${S}.f() OWNER TO ${t}; ALTER PROCEDURE ${S}.pr OWNER TO ${o}; ALTER AGGREGATE ${S}.agg(integer) OWNER TO ${o};
    ALTER AGGREGATE ${S}.every_row(*) OWNER TO ${a};
    ALTER TYPE ${S}.e OWNER TO ${o}; ALTER TYPE ${S}.c OWNER TO ${a}; ALTER DOMAIN ${S}.d OWNER TO ${o}; ALTER TYPE ${S}.ra OWNER TO ${a};
    ${major >= 14 && major < 17 ? `ALTER TYPE ${S}.ra_multirange OWNER TO ${a};` : ''}
    ALTER OPERATOR ${S}.<~ (integer, integer) OWNER TO ${a}; ALTER OPERATOR FAMILY ${S}.fam USING btree OWNER TO ${a};
    ALTER OPERATOR CLASS ${S}.cls USING btree OWNER TO ${a}; ALTER COLLATION ${S}.co OWNER TO ${o}; ALTER CONVERSION ${S}.cv OWNER TO ${a};
    ALTER TEXT SEARCH DICTIONARY ${S}.di OWNER TO ${o}; ALTER TEXT SEARCH CONFIGURATION ${S}.cf OWNER TO ${a}; ALTER STATISTICS ${S}.st OWNER TO ${o};

    GRANT SELECT ON ${S}.t TO ${r}, ${t}; GRANT INSERT, UPDATE ON ${S}.t TO ${a} WITH GRANT OPTION; GRANT SELECT ON ${S}.t TO ${a};
    GRANT SELECT (a), UPDATE ("b c", a) ON ${S}.t TO ${r}; GRANT REFERENCES (id) ON ${S}.t TO ${t} WITH GRANT OPTION; GRANT SELECT (id) ON ${S}.t TO PUBLIC;
    REVOKE TRUNCATE, TRIGGER ON ${S}.t FROM ${o};
    GRANT SELECT ON ${S}."p.t" TO PUBLIC; REVOKE ALL ON ${S}.p1 FROM ${a};
    GRANT SELECT ON ${S}.v TO ${r}; GRANT SELECT (a) ON ${S}.v TO ${t}; GRANT SELECT ON ${S}.m TO ${r};
    GRANT ALL ON public.plain TO ${r};
    GRANT USAGE ON SEQUENCE ${S}.t_id_seq TO ${a}; GRANT SELECT, UPDATE ON SEQUENCE ${S}.t_n_seq TO ${r}; GRANT ALL ON SEQUENCE ${S}.alone TO ${t} WITH GRANT OPTION;
    REVOKE EXECUTE ON FUNCTION ${S}.f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION ${S}.f() TO ${a} WITH GRANT OPTION;
    GRANT EXECUTE ON FUNCTION ${S}.f(integer, text[]) TO ${r}; REVOKE ALL ON PROCEDURE ${S}.pr FROM PUBLIC; GRANT EXECUTE ON PROCEDURE ${S}.pr TO ${a};
    REVOKE ALL ON FUNCTION ${S}.agg(integer), ${S}.every_row(), ${S}.third(double precision, anyelement) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION ${S}.third(double precision, anyelement) TO ${r};
    REVOKE USAGE ON TYPE ${S}.e FROM PUBLIC; GRANT USAGE ON TYPE ${S}.e TO ${a}; GRANT USAGE ON DOMAIN ${S}.d TO ${r} WITH GRANT OPTION;
    REVOKE ALL ON TYPE ${S}.c FROM PUBLIC, ${a}; GRANT USAGE ON TYPE ${S}.ra TO ${t};

    ALTER DEFAULT PRIVILEGES FOR ROLE ${o} IN SCHEMA ${S} GRANT SELECT, INSERT ON TABLES TO ${r};
    ALTER DEFAULT PRIVILEGES FOR ROLE ${o} IN SCHEMA ${S} GRANT USAGE ON SEQUENCES TO ${a} WITH GRANT OPTION;
    ALTER DEFAULT PRIVILEGES FOR ROLE ${o} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    ALTER DEFAULT PRIVILEGES FOR ROLE ${a} GRANT ALL ON TYPES TO ${r}; ALTER DEFAULT PRIVILEGES FOR ROLE ${a} GRANT USAGE ON SCHEMAS TO PUBLIC;
    ALTER DEFAULT PRIVILEGES FOR ROLE ${a} REVOKE DELETE ON TABLES FROM ${a};

    REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC; GRANT CREATE, TEMPORARY ON DATABASE ${database} TO ${a}; GRANT CONNECT ON DATABASE ${database} TO ${r} WITH GRANT OPTION;
    REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO ${a};

    ALTER DATABASE ${database} SET search_path = ${S}, "$user", public; ALTER DATABASE ${database} SET "my.own" = 'it''s \\ "x"';
    ALTER DATABASE ${database} SET work_mem = '7MB';
    ALTER ROLE ${a} IN DATABASE ${database} SET statement_timeout = '9s'; ALTER ROLE ${a} IN DATABASE ${database} SET search_path = '';
    ALTER ROLE ${r} SET temp_tablespaces = ''; ALTER ROLE ${r} SET DateStyle = 'SQL, DMY';`;
}

/** Catalog, column of the owner, column of the list, how acldefault() calls the kind. */
const OWNED: readonly (readonly [string, string, string?, string?])[] = [
  ['pg_namespace', 'nspowner', 'nspacl', "'n'"],
  ['pg_class', 'relowner', 'relacl', `(CASE o.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char"`],
  ['pg_proc', 'proowner', 'proacl', "'f'"],
  ['pg_type', 'typowner', 'typacl', "'T'"],
  ['pg_operator', 'oprowner'],
  ['pg_opclass', 'opcowner'],
  ['pg_opfamily', 'opfowner'],
  ['pg_collation', 'collowner'],
  ['pg_conversion', 'conowner'],
  ['pg_ts_config', 'cfgowner'],
  ['pg_ts_dict', 'dictowner'],
  ['pg_statistic_ext', 'stxowner'],
];

const RIGHT = `(coalesce(r.rolname, 'PUBLIC') || ':' || e.privilege_type || CASE WHEN e.is_grantable THEN '*' ELSE '' END) COLLATE "C"`;

const EXPLODED = (acl: string, but = 'true') => `(SELECT string_agg(DISTINCT ${RIGHT}, ' ' ORDER BY ${RIGHT})
  FROM aclexplode(${acl}) e LEFT JOIN pg_roles r ON r.oid = e.grantee WHERE e.privilege_type <> 'MAINTAIN' AND ${but})`;

/** One line for each object, with its owner and everybody's rights; left out is who granted, and what older servers lack or have more. */
export async function rightsOf({ session, name }: TestDatabase): Promise<string[]> {
  const objects = OWNED.map(
    ([catalog, owner, acl, kind]) => `
      SELECT i.type || ' ' || i.identity || ' owner ' || pg_get_userbyid(o.${owner}) ||
             coalesce(' rights ' || ${acl === undefined ? 'NULL' : EXPLODED(`coalesce(o.${acl}, acldefault(${kind}, o.${owner}))`)}, '') AS line
        FROM pg_catalog.${catalog} o, LATERAL pg_identify_object('pg_catalog.${catalog}'::regclass, o.oid, 0) i
       WHERE o.oid >= 16384 AND coalesce(i.schema, '') NOT IN ('_opendts', 'pg_toast') AND i.identity !~ '_opendts'
         AND NOT (${catalog === 'pg_type' ? "EXISTS (SELECT FROM pg_class c WHERE c.oid = o.typrelid AND c.relkind = 'S')" : 'false'})`,
  );
  const rows = await session.query<{ line: string }>(`
    ${objects.join(' UNION ALL ')}
    UNION ALL SELECT 'public ' || ${EXPLODED('n.nspacl', 'e.grantee <> n.nspowner')} FROM pg_namespace n WHERE nspname = 'public'
    UNION ALL SELECT 'column ' || a.attrelid::regclass || '.' || a.attname || ' ' || ${EXPLODED('a.attacl')}
                FROM pg_attribute a WHERE a.attacl IS NOT NULL AND a.attrelid >= 16384
    UNION ALL SELECT 'default ' || pg_get_userbyid(d.defaclrole) || ' ' || d.defaclnamespace::regnamespace || ' ' || d.defaclobjtype::text || ' ' || ${EXPLODED('d.defaclacl')}
                FROM pg_default_acl d
    UNION ALL SELECT 'database ' || coalesce(${EXPLODED('d.datacl')}, '') FROM pg_database d WHERE d.datname = current_database()
    UNION ALL SELECT 'language ' || l.lanname || ' ' || ${EXPLODED('l.lanacl')} FROM pg_language l WHERE l.lanacl IS NOT NULL
    UNION ALL SELECT 'setting ' || CASE WHEN s.setrole = 0 THEN 'database' ELSE pg_get_userbyid(s.setrole) END || ' ' || c.setting
                FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c(setting)
               WHERE d.datname = current_database()`);
  return rows.map(({ line }) => line.replaceAll(name, '<database>')).toSorted();
}

/** How the roles themselves are set, without the database. */
export async function roleSettings({ session }: TestDatabase, roles: Roles): Promise<string[]> {
  const rows = await session.query<{ line: string }>(
    `SELECT pg_get_userbyid(s.setrole) || ' ' || c.setting AS line FROM pg_db_role_setting s, unnest(s.setconfig) c(setting)
      WHERE s.setdatabase = 0 AND pg_get_userbyid(s.setrole) IN (${roles.all.map(literal).join(', ')})`,
  );
  return rows.map(({ line }) => line).toSorted();
}
