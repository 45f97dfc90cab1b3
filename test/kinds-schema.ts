/**
 * One database with at least one object of every kind that is migrated, and an awkward one of each: names with quotes, dots, new lines,
 * of 63 bytes, of other scripts, words of the language. Beside rich-schema.ts, which has the tables. Runs with PostgreSQL's own search_path.
 */
import type { Major } from './global-setup.ts';

/** As it stands in SQL: dots, quotes, a new line, a word of the language and letters of others. */
export const ODD = `"Схема.""x""
select 表"`;

/** 63 bytes. */
const LONG = `"${'long_name_'.repeat(6)}end"`;

export const READER = `"kinds Reader ""x"""`;
export const WRITER = 'kinds_writer';

/** Roles belong to a whole server. */
export const ROLES = `
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kinds_writer') THEN CREATE ROLE kinds_writer; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kinds Reader "x"') THEN CREATE ROLE ${READER}; END IF;
END $$;
`;

const BASE = `
CREATE SCHEMA kinds; CREATE SCHEMA ${ODD};
COMMENT ON SCHEMA ${ODD} IS 'odd''s \\ own';

-- Collations, conversions
CREATE COLLATION kinds.c_like FROM "C";
CREATE COLLATION ${ODD}."Col.""lation""" (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
CREATE COLLATION kinds.no_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
COMMENT ON COLLATION ${ODD}."Col.""lation""" IS 'phone book';
CREATE CONVERSION kinds.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION ${ODD}."con.version" FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
COMMENT ON CONVERSION ${ODD}."con.version" IS 'back';

-- Text search
CREATE TEXT SEARCH DICTIONARY kinds.words (TEMPLATE = simple, STOPWORDS = english, ACCEPT = false);
CREATE TEXT SEARCH DICTIONARY ${ODD}."Dict.""ionary""" (TEMPLATE = snowball, LANGUAGE = german, STOPWORDS = german);
CREATE TEXT SEARCH CONFIGURATION kinds.copied (COPY = pg_catalog.english);
CREATE TEXT SEARCH CONFIGURATION ${ODD}."conf.ig" (PARSER = pg_catalog."default");
ALTER TEXT SEARCH CONFIGURATION ${ODD}."conf.ig" ADD MAPPING FOR asciiword, word WITH kinds.words, ${ODD}."Dict.""ionary""";
ALTER TEXT SEARCH CONFIGURATION ${ODD}."conf.ig" ADD MAPPING FOR hword WITH ${ODD}."Dict.""ionary""", kinds.words;
CREATE TEXT SEARCH DICTIONARY kinds.plain (TEMPLATE = simple);
CREATE TEXT SEARCH DICTIONARY kinds.a_thesaurus (TEMPLATE = thesaurus, DICTFILE = thesaurus_sample, DICTIONARY = 'kinds.plain');
COMMENT ON TEXT SEARCH CONFIGURATION ${ODD}."conf.ig" IS 'german''s';
COMMENT ON TEXT SEARCH DICTIONARY kinds.words IS 'words';

-- Types
CREATE TYPE ${ODD}.${LONG} AS ENUM ('a', 'it''s', '表', 'with
line');
CREATE TYPE kinds."select" AS ("from" text COLLATE kinds.c_like, "группа" ${ODD}.${LONG}[], n numeric(7, 2));
COMMENT ON TYPE kinds."select" IS 'a word';
COMMENT ON COLUMN kinds."select"."группа" IS 'a column';
CREATE DOMAIN ${ODD}."Do.main" AS text COLLATE kinds.no_case DEFAULT 'x' CONSTRAINT "che.ck" CHECK (VALUE <> '''"');
CREATE DOMAIN kinds.inner_domain AS ${ODD}."Do.main" NOT NULL;
COMMENT ON CONSTRAINT "che.ck" ON DOMAIN ${ODD}."Do.main" IS 'constraint of a domain';
CREATE TYPE kinds.point3 AS (x integer, y integer, z integer);
CREATE FUNCTION kinds.gap(a integer, b integer) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1 - $2)::double precision';

CREATE FUNCTION kinds.keep(kinds.point3, kinds.point3) RETURNS kinds.point3 LANGUAGE sql IMMUTABLE STRICT AS 'SELECT CASE WHEN ($1).x < ($2).x THEN $1 ELSE $2 END';

-- Operators: a commutator that is itself, a pair of them, negators; all in a circle, some over functions of the server
CREATE FUNCTION kinds.p_lt(kinds.point3, kinds.point3) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1).x < ($2).x';
CREATE FUNCTION kinds.p_gt(kinds.point3, kinds.point3) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1).x > ($2).x';
CREATE FUNCTION kinds.p_le(kinds.point3, kinds.point3) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1).x <= ($2).x';
CREATE FUNCTION kinds.p_ge(kinds.point3, kinds.point3) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1).x >= ($2).x';
CREATE FUNCTION kinds.p_eq(kinds.point3, kinds.point3) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1).x = ($2).x';
CREATE FUNCTION kinds.p_ne(kinds.point3, kinds.point3) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1).x <> ($2).x';
CREATE FUNCTION kinds.p_cmp(kinds.point3, kinds.point3) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT sign(($1).x - ($2).x)::integer';
CREATE FUNCTION kinds.p_hash(kinds.point3) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashint4(($1).x)';
CREATE FUNCTION kinds.p_hash(kinds.point3, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashint4extended(($1).x, $2)';
CREATE OPERATOR kinds.<# (PROCEDURE = kinds.p_lt, LEFTARG = kinds.point3, RIGHTARG = kinds.point3, COMMUTATOR = OPERATOR(kinds.>#), NEGATOR = OPERATOR(kinds.>=#), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR kinds.># (PROCEDURE = kinds.p_gt, LEFTARG = kinds.point3, RIGHTARG = kinds.point3, COMMUTATOR = OPERATOR(kinds.<#), NEGATOR = OPERATOR(kinds.<=#), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR kinds.<=# (PROCEDURE = kinds.p_le, LEFTARG = kinds.point3, RIGHTARG = kinds.point3, COMMUTATOR = OPERATOR(kinds.>=#), NEGATOR = OPERATOR(kinds.>#));
CREATE OPERATOR kinds.>=# (PROCEDURE = kinds.p_ge, LEFTARG = kinds.point3, RIGHTARG = kinds.point3, COMMUTATOR = OPERATOR(kinds.<=#), NEGATOR = OPERATOR(kinds.<#));
CREATE OPERATOR kinds.=# (PROCEDURE = kinds.p_eq, LEFTARG = kinds.point3, RIGHTARG = kinds.point3, COMMUTATOR = OPERATOR(kinds.=#), NEGATOR = OPERATOR(kinds.<>#), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR kinds.<># (PROCEDURE = kinds.p_ne, LEFTARG = kinds.point3, RIGHTARG = kinds.point3, COMMUTATOR = OPERATOR(kinds.<>#), NEGATOR = OPERATOR(kinds.=#));
CREATE OPERATOR ${ODD}.!!@ (PROCEDURE = pg_catalog.int4abs, RIGHTARG = integer);
CREATE OPERATOR ${ODD}.|~| (PROCEDURE = pg_catalog.int4eq, LEFTARG = integer, RIGHTARG = integer, COMMUTATOR = OPERATOR(${ODD}.|~|));
COMMENT ON OPERATOR ${ODD}.!!@ (NONE, integer) IS 'in front';
COMMENT ON OPERATOR kinds.=# (kinds.point3, kinds.point3) IS 'equal';
CREATE OPERATOR FAMILY kinds.points USING btree;
CREATE OPERATOR CLASS kinds.point_ops DEFAULT FOR TYPE kinds.point3 USING btree FAMILY kinds.points AS
  OPERATOR 1 kinds.<#, OPERATOR 2 kinds.<=#, OPERATOR 3 kinds.=#, OPERATOR 4 kinds.>=#, OPERATOR 5 kinds.>#, FUNCTION 1 kinds.p_cmp(kinds.point3, kinds.point3);
CREATE OPERATOR CLASS ${ODD}."Class.""es""" FOR TYPE kinds.point3 USING hash AS OPERATOR 1 kinds.=#, FUNCTION 1 kinds.p_hash(kinds.point3), FUNCTION 2 kinds.p_hash(kinds.point3, bigint);
CREATE FUNCTION kinds.pi_eq(kinds.point3, integer) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ($1).x = $2';
CREATE FUNCTION kinds.pi_cmp(kinds.point3, integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT sign(($1).x - $2)::integer';
CREATE OPERATOR kinds.=# (PROCEDURE = kinds.pi_eq, LEFTARG = kinds.point3, RIGHTARG = integer);
ALTER OPERATOR FAMILY kinds.points USING btree ADD OPERATOR 3 kinds.=# (kinds.point3, integer), FUNCTION 1 (kinds.point3, integer) kinds.pi_cmp(kinds.point3, integer);
CREATE OPERATOR FAMILY ${ODD}."Empty.Family" USING gist;
COMMENT ON OPERATOR FAMILY kinds.points USING btree IS 'points in order';
COMMENT ON OPERATOR CLASS ${ODD}."Class.""es""" USING hash IS 'hashed';

-- Casts: by function, through text, without anything
CREATE FUNCTION kinds.to_point(integer) RETURNS kinds.point3 LANGUAGE sql IMMUTABLE STRICT AS 'SELECT ROW($1, $1, $1)::kinds.point3';
CREATE CAST (integer AS kinds.point3) WITH FUNCTION kinds.to_point(integer) AS IMPLICIT;
CREATE CAST (kinds.point3 AS varchar) WITH INOUT AS ASSIGNMENT;
CREATE TYPE ${ODD}."Un.like" AS ENUM ('a', 'b');
CREATE CAST (${ODD}."Un.like" AS ${ODD}.${LONG}) WITH INOUT;
CREATE CAST (money AS bigint) WITH INOUT;
COMMENT ON CAST (integer AS kinds.point3) IS 'on the diagonal';

-- A range over them, with what it needs
CREATE TYPE kinds.int_gap AS RANGE (SUBTYPE = integer, SUBTYPE_DIFF = kinds.gap);
CREATE TYPE ${ODD}."Ran.ge" AS RANGE (SUBTYPE = kinds.point3, SUBTYPE_OPCLASS = kinds.point_ops);
CREATE TYPE kinds.text_gap AS RANGE (SUBTYPE = text, COLLATION = kinds.c_like);
COMMENT ON TYPE ${ODD}."Ran.ge" IS 'from to';

CREATE AGGREGATE ${ODD}."Agg.""r""" (kinds.point3) (SFUNC = kinds.keep, STYPE = kinds.point3, SORTOP = OPERATOR(kinds.<#));
CREATE AGGREGATE kinds.moving_sum(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0', MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = integer, MINITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = SAFE);
COMMENT ON AGGREGATE kinds.moving_sum(integer) IS 'moving';

-- Tables that use all of it
CREATE TABLE kinds.places (
  id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  "группа" text COLLATE ${ODD}."Col.""lation""",
  named ${ODD}."Do.main",
  at kinds.point3 DEFAULT 7,
  span ${ODD}."Ran.ge",
  owner name DEFAULT CURRENT_USER,
  tenant integer NOT NULL DEFAULT 1,
  body text,
  found tsvector GENERATED ALWAYS AS (to_tsvector('${ODD.replaceAll("'", "''")}."conf.ig"'::regconfig, body)) STORED,
  flags bit varying(9), "time" timestamp(3) with time zone, gone interval day to second(2), "char" "char", price numeric(9, 3), money money,
  CONSTRAINT "Чек" CHECK (at OPERATOR(kinds.<>#) ROW(0, 0, 0)::kinds.point3)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_threshold = 99, parallel_workers = 3);
ALTER TABLE kinds.places DROP COLUMN flags;
ALTER TABLE kinds.places ALTER "группа" SET STATISTICS 77, ALTER body SET STORAGE EXTERNAL, ALTER tenant SET (n_distinct = 12, n_distinct_inherited = -0.5);
CREATE INDEX places_at ON kinds.places (at);
CREATE INDEX places_hash ON kinds.places USING hash (at ${ODD}."Class.""es""");
CREATE INDEX "places.""found""" ON kinds.places USING gin (found) WITH (fastupdate = off);
CREATE INDEX places_named ON kinds.places (named COLLATE kinds.c_like text_pattern_ops DESC NULLS LAST, (body || '''"')) INCLUDE (tenant) WHERE id OPERATOR(${ODD}.|~|) 3 OR tenant > 1;
CREATE INDEX places_brin ON kinds.places USING brin (tenant, id) WITH (autosummarize = on, pages_per_range = 4);
CREATE INDEX places_spgist ON kinds.places USING spgist (body);
COMMENT ON INDEX kinds."places.""found""" IS 'found';
ALTER TABLE kinds.places CLUSTER ON places_at;
CREATE STATISTICS kinds.on_places (ndistinct, mcv) ON tenant, "группа" FROM kinds.places;
CREATE STATISTICS ${ODD}."Stat.""istics""" ON id, tenant FROM kinds.places;
COMMENT ON STATISTICS ${ODD}."Stat.""istics""" IS 'together';

-- Replica identities
CREATE TABLE kinds.ident_index (a integer NOT NULL, b integer NOT NULL, UNIQUE (b));
ALTER TABLE kinds.ident_index REPLICA IDENTITY USING INDEX ident_index_b_key;
CREATE TABLE kinds.ident_nothing (a integer PRIMARY KEY); ALTER TABLE kinds.ident_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE kinds.ident_full (a integer PRIMARY KEY); ALTER TABLE kinds.ident_full REPLICA IDENTITY FULL;

-- Policies
CREATE FUNCTION ${ODD}."may.see"(integer) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT $1 < 3';
CREATE POLICY readers ON kinds.places FOR SELECT TO ${READER}, ${WRITER} USING (${ODD}."may.see"(tenant));
CREATE POLICY "Pol.""icy""
new" ON kinds.places AS RESTRICTIVE FOR UPDATE TO ${WRITER} USING (id IN (SELECT a FROM kinds.ident_full)) WITH CHECK (owner = CURRENT_USER);
CREATE POLICY everybody ON kinds.places FOR INSERT WITH CHECK (tenant > 0);
CREATE POLICY sleeping ON kinds.ident_full USING (true);
COMMENT ON POLICY readers ON kinds.places IS 'who reads';
ALTER TABLE kinds.places ENABLE ROW LEVEL SECURITY;
CREATE TABLE ${ODD}."Ta.ble" (id integer PRIMARY KEY);
ALTER TABLE ${ODD}."Ta.ble" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- Views in a circle: through a function that takes their rows, and through rules
CREATE VIEW kinds.ring AS SELECT 1 AS id, 'a'::varchar(7) COLLATE kinds.c_like AS "na.me", NULL::${ODD}.${LONG} AS kind;
COMMENT ON COLUMN kinds.ring."na.me" IS 'round';
ALTER VIEW kinds.ring ALTER COLUMN id SET DEFAULT 5;
CREATE FUNCTION kinds.around(kinds.ring) RETURNS integer LANGUAGE sql STABLE AS 'SELECT ($1).id';
CREATE OR REPLACE VIEW kinds.ring WITH (security_barrier) AS
  SELECT CASE WHEN false THEN kinds.around(NULL::kinds.ring) ELSE p.id END AS id, 'a'::varchar(7) COLLATE kinds.c_like AS "na.me", NULL::${ODD}.${LONG} AS kind FROM kinds.places p;
CREATE VIEW kinds.left_hand AS SELECT a FROM kinds.ident_full;
CREATE VIEW kinds.right_hand AS SELECT a FROM kinds.left_hand;
CREATE RULE to_right AS ON INSERT TO kinds.left_hand DO INSTEAD INSERT INTO kinds.right_hand VALUES (NEW.a);
CREATE RULE to_left AS ON INSERT TO kinds.right_hand WHERE NEW.a > 0 DO INSTEAD INSERT INTO kinds.left_hand VALUES (NEW.a);
CREATE RULE or_else AS ON INSERT TO kinds.right_hand DO INSTEAD NOTHING;
COMMENT ON RULE to_right ON kinds.left_hand IS 'over there';
CREATE VIEW kinds.with_operators AS SELECT p.id FROM kinds.places p WHERE p.at OPERATOR(kinds.=#) 7::kinds.point3 AND (p.at)::varchar <> '' ORDER BY p."группа" COLLATE kinds.c_like;
CREATE MATERIALIZED VIEW ${ODD}."Mat.""view""" WITH (fillfactor = 55, toast.autovacuum_enabled = false) AS SELECT p.id, p.at, p.body AS "bo.dy" FROM kinds.places p;
ALTER MATERIALIZED VIEW ${ODD}."Mat.""view""" ALTER COLUMN "bo.dy" SET STORAGE EXTERNAL, ALTER COLUMN "bo.dy" SET STATISTICS 33;
CREATE UNIQUE INDEX matview_id ON ${ODD}."Mat.""view""" (id);
CREATE INDEX matview_at ON ${ODD}."Mat.""view""" (at);
ALTER MATERIALIZED VIEW ${ODD}."Mat.""view""" CLUSTER ON matview_at;
CREATE STATISTICS kinds.on_matview ON id, "bo.dy" FROM ${ODD}."Mat.""view""";
COMMENT ON COLUMN ${ODD}."Mat.""view"""."bo.dy" IS 'bodies';
CREATE FUNCTION kinds.leaky(integer) RETURNS boolean LANGUAGE plpgsql LEAKPROOF IMMUTABLE AS 'BEGIN RETURN $1 > 0; END';
CREATE FUNCTION kinds.windowed(bigint) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 7 SET search_path TO 'kinds', 'pg_temp' AS 'BEGIN RETURN $1; END';
CREATE TYPE kinds.typed_row AS (a integer, b text);
CREATE UNLOGGED TABLE ${ODD}."Typed.Table" OF kinds.typed_row (a WITH OPTIONS DEFAULT 9, PRIMARY KEY (a));
`;

const SINCE: Readonly<Record<number, string>> = {
  14: `
ALTER STATISTICS ${ODD}."Stat.""istics""" SET STATISTICS 444;
CREATE STATISTICS kinds.expressed ON (tenant % 3), (lower(body)) FROM kinds.places;
COMMENT ON TYPE kinds.int_gap_multirange IS 'many gaps';
CREATE TABLE kinds.uses_multirange (v kinds.int_gap_multirange, w int4multirange);
ALTER TABLE kinds.places SET (autovacuum_vacuum_insert_threshold = 55, vacuum_truncate = off);
CREATE INDEX places_dedup ON kinds.places (tenant) WITH (deduplicate_items = off, fillfactor = 70);
CREATE INDEX places_siglen ON kinds.places USING gist (found tsvector_ops (siglen = 200));
CREATE INDEX places_bloom ON kinds.places USING brin (tenant int4_bloom_ops (false_positive_rate = 0.02));
CREATE VIEW kinds.newer_function AS SELECT date_bin('1 day', "time", 'epoch') AS day FROM kinds.places;
CREATE VIEW kinds.newer_form AS WITH RECURSIVE w AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM w WHERE n < 3) SEARCH DEPTH FIRST BY n SET o SELECT n FROM w;
ALTER TABLE kinds.places ALTER "группа" SET COMPRESSION pglz;
`,
  16: `
CREATE COLLATION kinds.ruled (PROVIDER = icu, LOCALE = 'und', RULES = '&a < g');
`,
  17: `
CREATE COLLATION kinds.of_the_server (PROVIDER = builtin, LOCALE = 'C.UTF-8');
CREATE DOMAIN kinds.named_not_null AS integer CONSTRAINT "not.null" NOT NULL;
COMMENT ON CONSTRAINT "not.null" ON DOMAIN kinds.named_not_null IS 'never null';
`,
  18: `
CREATE TABLE kinds.newest (a int4range CONSTRAINT "n.n" NOT NULL, b integer, v integer GENERATED ALWAYS AS (b + 1) VIRTUAL, at tstzrange, PRIMARY KEY (a, at WITHOUT OVERLAPS));
COMMENT ON CONSTRAINT "n.n" ON kinds.newest IS 'there';
ALTER TABLE kinds.newest ADD CONSTRAINT later NOT NULL b NOT VALID;
COMMENT ON CONSTRAINT later ON kinds.newest IS 'one day';
CREATE TABLE kinds.newest_child (a int4range, at tstzrange, FOREIGN KEY (a, PERIOD at) REFERENCES kinds.newest (a, PERIOD at), CONSTRAINT soft FOREIGN KEY (a, PERIOD at) REFERENCES kinds.newest (a, PERIOD at) NOT ENFORCED);
`,
};

/** The statements, in one string, that a server of this version can run. */
export function kindsSchema(major: Major): string {
  const later = Object.entries(SINCE)
    .filter(([since]) => Number(since) <= major)
    .map(([, sql]) => sql);
  return [ROLES, BASE, ...later].join('');
}
