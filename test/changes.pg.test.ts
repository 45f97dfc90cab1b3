/**
 * Every kind of change, applied three ways: `live` (each transaction as it comes), `late` (many transactions waiting in the slot, so
 * that windows fold) and `once` (all changes of a case in one transaction). A case is a few tables of its own in each of these schemas.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import type { Session } from '../src/engine/pg/session.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { follow } from './follow.ts';
import { compare, migrate } from './migration.ts';
import { firstOf } from './matrix.ts';

interface Case {
  readonly name: string;
  /** Tables to compare, as written in the catalog. */
  readonly tables: readonly string[];
  readonly setup: string;
  /** One transaction each. */
  readonly changes: readonly string[];
}

const TOAST = (seed: string) =>
  `(SELECT string_agg(md5((${seed})::text || g), '') FROM generate_series(1, 100) g)`;

const CASES: readonly Case[] = [
  {
    name: 'a key that changes',
    tables: ['key_change'],
    setup: `CREATE TABLE key_change (id int PRIMARY KEY, v text); INSERT INTO key_change SELECT i, 'v' || i FROM generate_series(1, 50) i`,
    changes: [
      `UPDATE key_change SET id = id + 1000 WHERE id = 1`,
      `UPDATE key_change SET v = 'after' WHERE id = 1001`,
      `UPDATE key_change SET id = -id WHERE id BETWEEN 10 AND 20`,
      `DELETE FROM key_change WHERE id = -10; UPDATE key_change SET id = -10, v = v || '!' WHERE id = -11`,
    ],
  },
  {
    name: 'a key swapped between two rows through a third value',
    tables: ['key_swap'],
    setup: `CREATE TABLE key_swap (id int PRIMARY KEY, v text); INSERT INTO key_swap VALUES (1, 'one'), (2, 'two')`,
    changes: [
      `UPDATE key_swap SET v = v || '+'`,
      `UPDATE key_swap SET id = -1 WHERE id = 1; UPDATE key_swap SET id = 1 WHERE id = 2; UPDATE key_swap SET id = 2 WHERE id = -1`,
      `UPDATE key_swap SET v = v || '*' WHERE id = 1`,
    ],
  },
  {
    name: 'a unique value swapped in one transaction, deferrable or through a third value',
    tables: ['swap_deferred', 'swap_plain', 'swap_key_deferred', 'swap_range'],
    setup: `CREATE TABLE swap_deferred (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO swap_deferred VALUES (1, 1), (2, 2), (3, 3);
            CREATE TABLE swap_plain (id int PRIMARY KEY, u int UNIQUE); INSERT INTO swap_plain VALUES (1, 1), (2, 2), (3, 3);
            CREATE TABLE swap_key_deferred (id int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, v text); INSERT INTO swap_key_deferred VALUES (1, 'one'), (2, 'two');
            CREATE TABLE swap_range (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&)); INSERT INTO swap_range VALUES (1, '[1,5)'), (2, '[5,9)')`,
    changes: [
      `UPDATE swap_deferred SET u = 4 - u`,
      `UPDATE swap_plain SET u = -1 WHERE id = 1; UPDATE swap_plain SET u = 1 WHERE id = 2; UPDATE swap_plain SET u = 2 WHERE id = 1`,
      `UPDATE swap_key_deferred SET id = 3 - id`,
      `UPDATE swap_range SET r = 'empty' WHERE id = 1; UPDATE swap_range SET r = '[1,5)' WHERE id = 2; UPDATE swap_range SET r = '[5,9)' WHERE id = 1`,
    ],
  },
  {
    name: 'a key deleted and inserted again',
    tables: ['again'],
    setup: `CREATE TABLE again (id int PRIMARY KEY, v text, w int DEFAULT 7); INSERT INTO again SELECT i, 'old' FROM generate_series(1, 9) i`,
    changes: [
      `DELETE FROM again WHERE id = 1`,
      `INSERT INTO again VALUES (1, 'new', NULL)`,
      `UPDATE again SET v = 'u' WHERE id = 2; DELETE FROM again WHERE id = 2; INSERT INTO again VALUES (2, 'i'); UPDATE again SET w = 8 WHERE id = 2`,
      `DELETE FROM again WHERE id = 3; INSERT INTO again VALUES (3, 'x'); DELETE FROM again WHERE id = 3`,
    ],
  },
  {
    name: 'a row inserted, updated and deleted again',
    tables: ['passing'],
    setup: `CREATE TABLE passing (id int PRIMARY KEY, v text); INSERT INTO passing VALUES (1, 'stays')`,
    changes: [
      `INSERT INTO passing VALUES (2, 'a'); UPDATE passing SET v = 'b' WHERE id = 2; DELETE FROM passing WHERE id = 2`,
      `INSERT INTO passing VALUES (3, 'a')`,
      `UPDATE passing SET v = 'b' WHERE id = 3`,
      `DELETE FROM passing WHERE id = 3`,
      `INSERT INTO passing VALUES (3, 'c')`,
    ],
  },
  {
    name: 'TRUNCATE between changes, of several tables with a foreign key, and with RESTART IDENTITY',
    tables: ['emptied', 'parent', 'child', 'counted'],
    setup: `CREATE TABLE emptied (id int PRIMARY KEY, v text); INSERT INTO emptied SELECT i, 'v' FROM generate_series(1, 100) i;
            CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
            CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent); INSERT INTO child VALUES (1, 1), (2, 2);
            CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text); INSERT INTO counted (v) SELECT 'v' FROM generate_series(1, 5)`,
    changes: [
      `INSERT INTO emptied VALUES (101, 'x'); TRUNCATE emptied; INSERT INTO emptied VALUES (1, 'y'), (2, 'z')`,
      `UPDATE emptied SET v = 'w' WHERE id = 1`,
      `TRUNCATE parent, child`,
      `INSERT INTO parent VALUES (2); INSERT INTO child VALUES (7, 2)`,
      `TRUNCATE parent CASCADE; INSERT INTO parent VALUES (5); INSERT INTO child VALUES (6, 5)`,
      `TRUNCATE counted RESTART IDENTITY; INSERT INTO counted (v) VALUES ('first')`,
    ],
  },
  {
    name: 'an update that leaves an out-of-line value unchanged, under every identity',
    tables: ['toast_default', 'toast_index', 'toast_full', 'toast_none'],
    setup: `CREATE TABLE toast_default (id int PRIMARY KEY, n int, big text); INSERT INTO toast_default SELECT i, 0, ${TOAST('i')} FROM generate_series(1, 6) i;
            CREATE TABLE toast_index (id int PRIMARY KEY, u int NOT NULL, n int, big text); CREATE UNIQUE INDEX toast_by_u ON toast_index (u); ALTER TABLE toast_index REPLICA IDENTITY USING INDEX toast_by_u;
            INSERT INTO toast_index SELECT i, i * 10, 0, ${TOAST('i')} FROM generate_series(1, 6) i;
            CREATE TABLE toast_full (id int PRIMARY KEY, n int, big text); ALTER TABLE toast_full REPLICA IDENTITY FULL; INSERT INTO toast_full SELECT i, 0, ${TOAST('i')} FROM generate_series(1, 6) i;
            CREATE TABLE toast_none (n int, big text); INSERT INTO toast_none SELECT i % 2, ${TOAST('i % 3')} FROM generate_series(1, 6) i`,
    changes: [
      `UPDATE toast_default SET n = n + 1; UPDATE toast_default SET big = ${TOAST('9')} WHERE id = 2; UPDATE toast_default SET n = n + 1 WHERE id < 4`,
      `UPDATE toast_default SET id = id + 100 WHERE id = 3`,
      `UPDATE toast_default SET n = 7 WHERE id = 103; DELETE FROM toast_default WHERE id = 4`,
      `INSERT INTO toast_default VALUES (50, 1, ${TOAST('50')}); UPDATE toast_default SET n = 2 WHERE id = 50; UPDATE toast_default SET id = 51 WHERE id = 50`,
      `UPDATE toast_index SET n = 5; UPDATE toast_index SET u = u + 1 WHERE id = 2; UPDATE toast_index SET id = id + 100 WHERE id = 3`,
      `UPDATE toast_index SET big = NULL WHERE id = 5; DELETE FROM toast_index WHERE id = 6`,
      `UPDATE toast_full SET n = n + 1; UPDATE toast_full SET id = 200 WHERE id = 2; DELETE FROM toast_full WHERE id = 5`,
      `UPDATE toast_none SET n = n + 10 WHERE ctid = (SELECT min(ctid::text)::tid FROM toast_none); DELETE FROM toast_none WHERE n = 1`,
    ],
  },
  {
    name: 'the inputs of a generated column',
    tables: ['computed'],
    setup: `CREATE TABLE computed (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, b text); INSERT INTO computed (id, a, b) SELECT i, i, 'b' FROM generate_series(1, 9) i`,
    changes: [`UPDATE computed SET a = a + 1 WHERE id < 5; INSERT INTO computed (id, a) VALUES (10, 10)`],
  },
  {
    name: 'the inputs of a generated column in a table without a key',
    tables: ['computed_keyless'],
    setup: `CREATE TABLE computed_keyless (a int, twice int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO computed_keyless (a) SELECT i % 2 FROM generate_series(1, 6) i`,
    changes: [`UPDATE computed_keyless SET a = 5 WHERE a = 1; DELETE FROM computed_keyless WHERE a = 0`],
  },
  {
    name: 'identity columns that are generated always',
    tables: ['always_key', 'always_other'],
    setup: `CREATE TABLE always_key (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text); INSERT INTO always_key (v) SELECT 'v' FROM generate_series(1, 9);
            CREATE TABLE always_other (k text PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v int); INSERT INTO always_other (k, v) SELECT 'k' || i, i FROM generate_series(1, 9) i`,
    changes: [
      `INSERT INTO always_key (v) VALUES ('new'); INSERT INTO always_key OVERRIDING SYSTEM VALUE VALUES (500, 'own'); UPDATE always_key SET v = 'u' WHERE id < 4; DELETE FROM always_key WHERE id = 5`,
      `UPDATE always_key SET id = DEFAULT WHERE id = 6`,
      `INSERT INTO always_other (k, v) VALUES ('new', 1); UPDATE always_other SET v = v + 1; UPDATE always_other SET k = 'moved' WHERE k = 'k3'; DELETE FROM always_other WHERE k = 'k4'`,
    ],
  },
  {
    name: 'one of three equal rows of a table without a key',
    tables: ['equal'],
    setup: `CREATE TABLE equal (a int, b text, c numeric, d json); INSERT INTO equal SELECT 1, NULL, 1.0, '{"a": 1}' FROM generate_series(1, 3); INSERT INTO equal SELECT 2, '', 1.00, '{"a":1}' FROM generate_series(1, 3)`,
    changes: [
      `DELETE FROM equal WHERE ctid = (SELECT ctid FROM equal WHERE a = 1 LIMIT 1)`,
      `UPDATE equal SET b = 'changed' WHERE ctid = (SELECT ctid FROM equal WHERE a = 2 LIMIT 1)`,
      `UPDATE equal SET c = 1.000 WHERE ctid = (SELECT ctid FROM equal WHERE a = 1 LIMIT 1)`,
      `INSERT INTO equal VALUES (2, '', 1.00, '{"a":1}'), (2, '', 1.00, '{"a":1}'); DELETE FROM equal WHERE ctid = (SELECT ctid FROM equal WHERE a = 2 AND b = '' LIMIT 1)`,
    ],
  },
  {
    name: 'a row that moves between partitions, two levels deep',
    tables: ['part_a', 'part_b1', 'part_b2', 'part_rest'],
    setup: `CREATE TABLE part (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
            CREATE TABLE part_a PARTITION OF part FOR VALUES IN (1);
            CREATE TABLE part_b PARTITION OF part FOR VALUES IN (2, 3) PARTITION BY LIST (k);
            CREATE TABLE part_b1 (v text, k int NOT NULL, id int NOT NULL); ALTER TABLE part_b ATTACH PARTITION part_b1 FOR VALUES IN (2);
            CREATE TABLE part_b2 PARTITION OF part_b FOR VALUES IN (3);
            CREATE TABLE part_rest PARTITION OF part DEFAULT;
            INSERT INTO part SELECT i, 1 + i % 5, 'v' || i FROM generate_series(1, 50) i`,
    changes: [
      `UPDATE part SET k = 2 WHERE id = 5`,
      `UPDATE part SET k = 3, v = 'moved' WHERE k = 2 AND id < 20; UPDATE part SET k = 77 WHERE id = 10`,
      `DELETE FROM part WHERE id = 11; INSERT INTO part VALUES (60, 3, 'new'), (61, 99, 'rest'); UPDATE part SET id = id + 1000 WHERE id IN (60, 61)`,
      `TRUNCATE part_rest; INSERT INTO part VALUES (61, 99, 'rest')`,
    ],
  },
  {
    name: 'enums, domains, composites, ranges and arrays of them',
    tables: ['kinds'],
    setup: `CREATE TYPE mood AS ENUM ('sad', 'so so', 'it''s "ok"', 'a,b'); CREATE DOMAIN posint AS int CHECK (VALUE > 0); CREATE DOMAIN tags AS text[]; CREATE TYPE pair AS (a int, "b c" text);
            CREATE TYPE span AS RANGE (subtype = float8);
            CREATE TABLE kinds (id int PRIMARY KEY, m mood, d posint, t tags, p pair, r span, ms mood[], ds posint[], ps pair[], rs span[]);
            INSERT INTO kinds SELECT i, 'sad', i, '{a,b}', ('(' || i || ',x)')::pair, '[1,2)', '{sad}', '{1,2}', ARRAY[(1, 'a')::pair], '{"[1,2)"}' FROM generate_series(1, 5) i`,
    changes: [
      `UPDATE kinds SET m = 'it''s "ok"', p = (1, 'q"uo\\te,')::pair, ms = '{"a,b",NULL}' WHERE id < 3`,
      `UPDATE kinds SET t = '{{a,"b c"},{NULL,"\\""}}', ps = ARRAY[(2, 'b"')::pair, NULL, (NULL, NULL)::pair], rs = '{"(,3]",empty,NULL}', r = 'empty' WHERE id > 2`,
      `INSERT INTO kinds (id, d, ds, p) VALUES (6, 6, '[2:3]={5,6}', ROW(NULL, NULL)), (7, NULL, '{}', NULL), (8, 1, NULL, ROW(NULL, ''))`,
      `DELETE FROM kinds WHERE id = 4`,
    ],
  },
  {
    name: 'tables of only a key, of no column, and of many columns',
    tables: ['only_key', 'no_column', 'wide'],
    setup: `CREATE TABLE only_key (id int PRIMARY KEY); INSERT INTO only_key SELECT generate_series(1, 9);
            CREATE TABLE no_column (); INSERT INTO no_column DEFAULT VALUES; INSERT INTO no_column DEFAULT VALUES;
            CREATE TABLE wide (id int PRIMARY KEY); DO $$ BEGIN FOR i IN 1..700 LOOP EXECUTE format('ALTER TABLE wide ADD c%s int', i); END LOOP; END $$; INSERT INTO wide (id, c5) SELECT i, i FROM generate_series(1, 3) i`,
    changes: [
      `INSERT INTO only_key VALUES (20), (21); DELETE FROM only_key WHERE id = 1; UPDATE only_key SET id = 30 WHERE id = 2`,
      `INSERT INTO no_column DEFAULT VALUES`,
      `DELETE FROM no_column WHERE ctid = (SELECT ctid FROM no_column LIMIT 1)`,
      `UPDATE wide SET c700 = id; INSERT INTO wide (id, c1) VALUES (9, 9); DELETE FROM wide WHERE id = 1`,
    ],
  },
  {
    name: 'a unique index instead of a primary key, with and without nulls',
    tables: ['unique_only', 'unique_nulls', 'identity_index', 'identity_nothing'],
    setup: `CREATE TABLE unique_only (a int NOT NULL, b int NOT NULL, v text); CREATE UNIQUE INDEX ON unique_only (a, b) INCLUDE (v); INSERT INTO unique_only SELECT i, i, 'v' FROM generate_series(1, 9) i;
            CREATE TABLE unique_nulls (a int UNIQUE, v text); INSERT INTO unique_nulls SELECT nullif(i % 4, 0), 'v' FROM generate_series(1, 4) i; INSERT INTO unique_nulls VALUES (NULL, 'v');
            CREATE TABLE identity_index (id int, code text NOT NULL, v int); CREATE UNIQUE INDEX identity_code ON identity_index (code); ALTER TABLE identity_index REPLICA IDENTITY USING INDEX identity_code; INSERT INTO identity_index SELECT i, 'c' || i, i FROM generate_series(1, 9) i;
            CREATE TABLE identity_nothing (id int PRIMARY KEY, v text); ALTER TABLE identity_nothing REPLICA IDENTITY NOTHING; INSERT INTO identity_nothing SELECT i, 'v' FROM generate_series(1, 9) i`,
    changes: [
      `UPDATE unique_only SET v = 'u' WHERE a < 4; UPDATE unique_only SET a = a + 100 WHERE a = 5; DELETE FROM unique_only WHERE a = 6`,
      `UPDATE unique_nulls SET v = 'u' WHERE ctid = (SELECT ctid FROM unique_nulls WHERE a IS NULL LIMIT 1); DELETE FROM unique_nulls WHERE a = 1; INSERT INTO unique_nulls VALUES (NULL, 'v'), (NULL, 'v')`,
      `UPDATE identity_index SET v = 0, id = NULL WHERE code = 'c1'; UPDATE identity_index SET code = 'changed' WHERE code = 'c2'; DELETE FROM identity_index WHERE code = 'c3'`,
      `UPDATE identity_nothing SET v = 'u' WHERE id < 3; DELETE FROM identity_nothing WHERE id = 3`,
    ],
  },
  {
    name: 'ugly names',
    tables: ['"Qu.o""te" \'x\\', 'ünï çødé 表', 'n'.repeat(63), 'select'],
    setup: `CREATE TABLE """Qu.o""""te"" 'x\\" ("a.b" int PRIMARY KEY, "C ""d""" text, "$1" int, "t" int, "x" int, "u" int, "c0" int); INSERT INTO """Qu.o""""te"" 'x\\" SELECT i, 'v', i, i, i, i, i FROM generate_series(1, 9) i;
            CREATE TABLE "ünï çødé 表" ("ключ" text, "Значение" text); INSERT INTO "ünï çødé 表" VALUES ('ä', 'ö'), ('ä', 'ö');
            CREATE TABLE ${'n'.repeat(63)} (${'c'.repeat(63)} int PRIMARY KEY, "order" text); INSERT INTO ${'n'.repeat(63)} VALUES (1, 'x');
            CREATE TABLE "select" ("from" int PRIMARY KEY, "where" int); INSERT INTO "select" VALUES (1, 1)`,
    changes: [
      `UPDATE """Qu.o""""te"" 'x\\" SET "C ""d""" = 'w', "$1" = 0, "c0" = 5 WHERE "a.b" < 4; DELETE FROM """Qu.o""""te"" 'x\\" WHERE "a.b" = 5; INSERT INTO """Qu.o""""te"" 'x\\" ("a.b", "t") VALUES (50, 1)`,
      `UPDATE "ünï çødé 表" SET "Значение" = '表' WHERE ctid = (SELECT ctid FROM "ünï çødé 表" LIMIT 1)`,
      `UPDATE ${'n'.repeat(63)} SET "order" = 'y'; INSERT INTO ${'n'.repeat(63)} VALUES (2, NULL)`,
      `UPDATE "select" SET "from" = 2, "where" = 3`,
    ],
  },
  {
    name: 'keys whose equal values differ in text, and keys of other types',
    tables: [
      'key_numeric',
      'key_float',
      'key_char',
      'key_domain',
      'key_array',
      'key_enum',
      'key_many',
      'key_interval',
    ],
    setup: `CREATE TABLE key_numeric (k numeric PRIMARY KEY, v int); INSERT INTO key_numeric VALUES (1.0, 1), (2.50, 2), ('NaN', 3);
            CREATE TABLE key_float (k float8 PRIMARY KEY, v int); INSERT INTO key_float VALUES (0, 1), ('NaN', 2), ('-Infinity', 3), (0.1::float8 + 0.2, 4), (1e308, 5);
            CREATE TABLE key_char (k char(5), l bpchar, v int, PRIMARY KEY (k, l)); INSERT INTO key_char VALUES ('a', 'b', 1), ('b', 'b  ', 2);
            CREATE DOMAIN code AS varchar(9); CREATE TABLE key_domain (k code PRIMARY KEY, v int); INSERT INTO key_domain VALUES ('x', 1), ('y', 2), ('', 3);
            CREATE TABLE key_array (k int[] PRIMARY KEY, v int); INSERT INTO key_array VALUES ('{1,2}', 1), ('{{1},{2}}', 2), ('[2:3]={1,2}', 3);
            CREATE TYPE colour AS ENUM ('red', 'green'); CREATE TABLE key_enum (k colour PRIMARY KEY, v int); INSERT INTO key_enum VALUES ('red', 1), ('green', 2);
            CREATE TABLE key_many (a uuid, b bytea, c date, d timestamptz, e bool, f "char", g name, h oid, v int, PRIMARY KEY (a, b, c, d, e, f, g, h)); INSERT INTO key_many SELECT md5(i::text)::uuid, '\\x00ff'::bytea || i::text::bytea, 'infinity', '-infinity', true, 'c', 'n', i, 0 FROM generate_series(1, 5) i;
            CREATE TABLE key_interval (k interval PRIMARY KEY, v int); INSERT INTO key_interval VALUES ('1 month', 1), ('1 day', 2)`,
    changes: [
      `UPDATE key_numeric SET k = 1.00 WHERE k = 1; UPDATE key_numeric SET v = 9 WHERE k = 1; UPDATE key_numeric SET v = 8 WHERE k = 'NaN'; DELETE FROM key_numeric WHERE k = 2.5; INSERT INTO key_numeric VALUES (2.5, 22)`,
      `UPDATE key_float SET k = '-0' WHERE k = 0; UPDATE key_float SET v = v + 10; DELETE FROM key_float WHERE k = 'NaN'; UPDATE key_float SET k = 0.3 WHERE k = 0.1::float8 + 0.2`,
      `UPDATE key_char SET l = 'b ' WHERE v = 2; UPDATE key_char SET v = v + 1; DELETE FROM key_char WHERE k = 'a'; INSERT INTO key_char VALUES ('a', 'b   ', 5)`,
      `UPDATE key_domain SET v = 5 WHERE k = ''; UPDATE key_domain SET k = 'z' WHERE k = 'x'; DELETE FROM key_domain WHERE k = 'y'`,
      `UPDATE key_array SET v = v + 1; DELETE FROM key_array WHERE k = '{{1},{2}}'; UPDATE key_array SET k = '{NULL}' WHERE k = '{1,2}'`,
      `UPDATE key_enum SET v = 3 WHERE k = 'red'; DELETE FROM key_enum WHERE k = 'green'`,
      `UPDATE key_many SET v = 1; DELETE FROM key_many WHERE h = 2; UPDATE key_many SET b = '' WHERE h = 3`,
      `UPDATE key_interval SET k = '30 days' WHERE v = 1; UPDATE key_interval SET v = 7 WHERE k = '1 month'; DELETE FROM key_interval WHERE k = '24 hours'`,
    ],
  },
  {
    name: 'a text key stored out of line',
    tables: ['key_toast'],
    setup: `CREATE TABLE key_toast (k text PRIMARY KEY, v int, w text) WITH (toast_tuple_target = 128); ALTER TABLE key_toast ALTER k SET STORAGE EXTERNAL; INSERT INTO key_toast SELECT repeat(md5(i::text), 60), i, repeat('w', 10) FROM generate_series(1, 9) i`,
    changes: [
      `UPDATE key_toast SET v = v + 1`,
      `UPDATE key_toast SET k = k || 'x' WHERE v = 3; DELETE FROM key_toast WHERE v = 4; UPDATE key_toast SET w = NULL WHERE v = 5`,
      `INSERT INTO key_toast VALUES (repeat('new', 600), 50, ''); UPDATE key_toast SET v = 51 WHERE v = 50; UPDATE key_toast SET v = v + 100 WHERE v < 8`,
    ],
  },
  {
    name: 'savepoints and subtransactions that were rolled back',
    tables: ['sub'],
    setup: `CREATE TABLE sub (id int PRIMARY KEY, v text); INSERT INTO sub SELECT i, 'v' FROM generate_series(1, 9) i`,
    changes: [
      `INSERT INTO sub VALUES (10, 'a'); SAVEPOINT s1; INSERT INTO sub VALUES (11, 'lost'); UPDATE sub SET v = 'lost'; ROLLBACK TO s1; INSERT INTO sub VALUES (11, 'kept'); SAVEPOINT s2; DELETE FROM sub WHERE id = 1; RELEASE s2`,
      `DO $$ BEGIN FOR i IN 100..180 LOOP BEGIN INSERT INTO sub VALUES (i, 'in'); IF i % 3 = 0 THEN RAISE EXCEPTION 'back'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$`,
    ],
  },
  {
    name: 'effects of triggers and foreign keys, once',
    tables: ['owner', 'owned', 'log'],
    setup: `CREATE TABLE owner (id int PRIMARY KEY, n int); CREATE TABLE owned (id int PRIMARY KEY, o int REFERENCES owner ON DELETE CASCADE ON UPDATE CASCADE); CREATE TABLE log (what text, at int);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.noted VALUES (TG_TABLE_SCHEMA, TG_OP); EXECUTE format('INSERT INTO %I.log VALUES ($1, 1)', TG_TABLE_SCHEMA) USING TG_OP; IF TG_OP <> 'DELETE' THEN NEW.n := NEW.n + 1; RETURN NEW; END IF; RETURN OLD; END $$;
            CREATE TRIGGER note BEFORE INSERT OR UPDATE OR DELETE ON owner FOR EACH ROW EXECUTE FUNCTION note();
            INSERT INTO owner SELECT i, 0 FROM generate_series(1, 9) i; INSERT INTO owned SELECT i, 1 + i % 9 FROM generate_series(1, 30) i`,
    changes: [
      `UPDATE owner SET n = 100 WHERE id < 3; INSERT INTO owner VALUES (20, 1)`,
      `DELETE FROM owner WHERE id = 2; UPDATE owner SET id = 33 WHERE id = 3`,
    ],
  },
  {
    name: 'rows of a parent and its child tables with the same keys',
    tables: ['ancestor', 'heir', 'ancestor_keyless', 'heir_keyless'],
    setup: `CREATE TABLE ancestor (id int PRIMARY KEY, v text); CREATE TABLE heir (extra int) INHERITS (ancestor); ALTER TABLE heir ADD PRIMARY KEY (id);
            INSERT INTO ancestor SELECT i, 'parent' FROM generate_series(1, 9) i; INSERT INTO heir SELECT i, 'child', i FROM generate_series(1, 9) i;
            CREATE TABLE ancestor_keyless (a int, v text); CREATE TABLE heir_keyless () INHERITS (ancestor_keyless);
            INSERT INTO heir_keyless SELECT i % 3, 'same' FROM generate_series(1, 9) i; INSERT INTO ancestor_keyless SELECT i % 3, 'same' FROM generate_series(1, 3) i`,
    changes: [
      `UPDATE ONLY ancestor SET v = 'changed' WHERE id = 3; UPDATE heir SET v = 'too' WHERE id = 4`,
      `DELETE FROM ONLY ancestor WHERE id = 5; DELETE FROM heir WHERE id = 6; UPDATE ancestor SET v = 'both' WHERE id = 7; UPDATE ONLY ancestor SET id = 70 WHERE id = 8`,
      `UPDATE ONLY ancestor_keyless SET v = 'p' WHERE a = 1; DELETE FROM ONLY ancestor_keyless WHERE a = 2`,
      `DELETE FROM heir_keyless WHERE ctid = (SELECT ctid FROM heir_keyless WHERE a = 0 LIMIT 1); TRUNCATE ONLY ancestor_keyless; INSERT INTO ancestor_keyless VALUES (9, 'new')`,
    ],
  },
  {
    name: 'a table described again in the middle, by ANALYZE and by DDL that changes no column',
    tables: ['described'],
    setup: `CREATE TABLE described (id int PRIMARY KEY, v text); INSERT INTO described SELECT i, 'v' FROM generate_series(1, 50) i`,
    changes: [
      `INSERT INTO described VALUES (60, 'a'); UPDATE described SET v = 'b' WHERE id < 10`,
      `ANALYZE described; ALTER TABLE described SET (fillfactor = 70)`,
      `UPDATE described SET id = 61 WHERE id = 60; UPDATE described SET v = 'c' WHERE id BETWEEN 5 AND 15; DELETE FROM described WHERE id = 3`,
      `ALTER TABLE described ALTER v SET STORAGE EXTERNAL`,
      `INSERT INTO described VALUES (3, 'again'), (60, 'new'); UPDATE described SET id = 62 WHERE id = 61`,
    ],
  },
  {
    name: 'a row that references a later one by a deferred foreign key',
    tables: ['tree'],
    setup: `CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree DEFERRABLE INITIALLY DEFERRED); INSERT INTO tree VALUES (1, NULL)`,
    changes: [
      `INSERT INTO tree VALUES (5, 6); INSERT INTO tree VALUES (6, 1)`,
      `DELETE FROM tree WHERE id = 6; DELETE FROM tree WHERE id = 5`,
    ],
  },
  {
    name: '200,000 changes in one transaction',
    tables: ['bulk'],
    setup: `CREATE TABLE bulk (id int PRIMARY KEY, v text, n int); INSERT INTO bulk SELECT i, md5(i::text), 0 FROM generate_series(1, 20000) i`,
    changes: [
      `INSERT INTO bulk SELECT i, md5(i::text), 1 FROM generate_series(20001, 70000) i; UPDATE bulk SET n = n + 1; DELETE FROM bulk WHERE id % 7 = 0; UPDATE bulk SET v = NULL WHERE id % 3 = 0; UPDATE bulk SET n = n + 1 WHERE id % 2 = 0`,
    ],
  },
];

const SCHEMAS = ['live', 'late', 'once'] as const;
const within = (schema: string) => `SET search_path = ${schema}, public`;

async function setUp(db: TestDatabase): Promise<void> {
  await db.session.query(
    'CREATE TABLE public.noted (schema text, what text); CREATE TABLE public.elsewhere (id int PRIMARY KEY)',
  );
  for (const schema of SCHEMAS) {
    await db.session.query(`CREATE SCHEMA ${schema}; ${within(schema)}`);
    for (const { setup } of casesOf(schema)) await db.session.query(setup);
  }
}

function casesOf(schema: (typeof SCHEMAS)[number]): readonly Case[] {
  // 200,000 changes one at a time would say nothing more.
  return schema === 'once' ? CASES : CASES.filter(({ tables }) => !tables.includes('bulk'));
}

async function change(db: TestDatabase, schema: (typeof SCHEMAS)[number]): Promise<void> {
  await db.session.query(within(schema));
  for (const { changes } of casesOf(schema)) {
    const transactions = schema === 'once' ? [changes.join('; ')] : changes;
    for (const transaction of transactions) await db.session.query(`BEGIN; ${transaction}; COMMIT`);
    // Between them: a transaction of nothing for us, and one of a table that is not selected.
    await db.session.query(
      `SELECT pg_current_xact_id()`.replace(
        'pg_current_xact_id',
        db.major === 12 ? 'txid_current' : 'pg_current_xact_id',
      ),
    );
    await db.session.query('INSERT INTO public.elsewhere SELECT count(*) FROM public.elsewhere');
  }
}

describe.each(
  firstOf(1, [
    [12, 18],
    [18, 15],
  ] as const),
)('changes from %i to %i', (from, to) => {
  let source: TestDatabase;
  let target: TestDatabase;
  let differing = new Map<string, string>();
  let compared = new Set<string>();

  beforeAll(async () => {
    source = await freshDatabase(from);
    target = await freshDatabase(to);
    await setUp(source);
    const following = await follow(source, target, { excludeTables: ['public.elsewhere'] });
    await change(source, 'live');
    await change(source, 'once');
    await following.catchUp();
    await change(source, 'late');
    await migrate(source, target, { excludeTables: ['public.elsewhere'] });
    await source.session.query('RESET search_path');
    const { verdicts } = await compare(source, target);
    compared = new Set(verdicts.map(({ table }) => table));
    differing = new Map(
      verdicts.flatMap(({ table, verdict, reason }) =>
        verdict === 'identical' ? [] : [[table, reason ?? verdict]],
      ),
    );
  });
  afterAll(async () => {
    await source?.[Symbol.asyncDispose]();
    await target?.[Symbol.asyncDispose]();
  });

  it.each(CASES)('$name', ({ tables }) => {
    const names = SCHEMAS.flatMap((schema) =>
      casesOf(schema).some((other) => other.tables === tables)
        ? tables.map((table) => `${schema}.${table}`)
        : [],
    );
    expect(names.filter((name) => !compared.has(name))).toEqual([]);
    expect(names.flatMap((name) => (differing.has(name) ? [`${name}: ${differing.get(name)}`] : []))).toEqual(
      [],
    );
  });

  it('leaves nothing else different but the table that was excluded', () => {
    expect([...differing.keys()]).toEqual(['public.elsewhere']);
  });
});

describe('an identity column that is generated always', () => {
  it('moves as a key also when the row has an out-of-line value that did not change', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session
      .query(`CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, big text); INSERT INTO a (big) SELECT ${TOAST('i')} FROM generate_series(1, 3) i;
      CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, big text, n int); INSERT INTO b (big) SELECT ${TOAST('i')} FROM generate_series(1, 3) i`);
    await migrate(source, target);
    await source.session.query(
      'UPDATE a SET id = DEFAULT WHERE id = 2; UPDATE b SET id = DEFAULT, n = 5 WHERE id = 2',
    );
    await migrate(source, target);
    expect((await compare(source, target)).differing).toEqual([]);
  });

  it('changes also where it is not the key, and in a table without a key', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session
      .query(`CREATE TABLE a (k int PRIMARY KEY, id int GENERATED ALWAYS AS IDENTITY); INSERT INTO a SELECT generate_series(1, 3);
      CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY, v int); INSERT INTO b (v) SELECT generate_series(1, 3)`);
    await migrate(source, target);
    await source.session.query('UPDATE b SET id = DEFAULT WHERE id = 2');
    await migrate(source, target);
    expect((await compare(source, target)).differing).toEqual([]);
    await source.session.query('UPDATE a SET id = DEFAULT WHERE id = 2');
    await migrate(source, target);
    expect((await compare(source, target)).differing).toEqual([]);
  });
});

describe('four writers at once', () => {
  /** A serialization that one of them loses is tried again, as an application would. */
  async function write(session: Session, seed: number): Promise<void> {
    let random = seed;
    const upTo = (n: number) => {
      random = (random * 48_271) % 2_147_483_647;
      return random % n;
    };
    for (let n = 0; n < 150; n++) {
      const id = upTo(40);
      const work = [
        `INSERT INTO busy VALUES (${id}, 'i${n}') ON CONFLICT (id) DO UPDATE SET v = busy.v || 'u'`,
        `DELETE FROM busy WHERE id = ${id}`,
        `UPDATE busy SET id = id + 1000 * ${1 + upTo(50)} WHERE id = ${id} AND NOT EXISTS (SELECT FROM busy b WHERE b.id > 999)`,
        `DELETE FROM busy WHERE id > 999`,
        `INSERT INTO crowd VALUES (${id % 4}, 'same')`,
        `DELETE FROM crowd WHERE ctid = (SELECT ctid FROM crowd LIMIT 1)`,
        `UPDATE crowd SET a = ${upTo(4)} WHERE ctid = (SELECT ctid FROM crowd WHERE a = ${upTo(4)} LIMIT 1)`,
      ].filter(() => upTo(3) === 0);
      for (const _ of Array.from({ length: 3 })) {
        try {
          await session.query(`BEGIN; ${work.join('; ')}; ${upTo(8) === 0 ? 'ROLLBACK' : 'COMMIT'}`);
          break;
        } catch {
          await session.query('ROLLBACK');
        }
      }
    }
  }

  it('on the same rows, in any order', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await source.session.query(
      'CREATE TABLE busy (id int PRIMARY KEY, v text); CREATE TABLE crowd (a int, b text)',
    );
    const following = await follow(source, target);
    await Promise.all(
      [11, 22, 33, 44].map(async (seed) => {
        await using session = await source.open();
        await session.query('SET search_path = public');
        await write(session, seed);
      }),
    );
    const { changesApplied } = await following.catchUp();
    expect(changesApplied).toBeGreaterThan(300n);
    expect((await compare(source, target)).differing).toEqual([]);
  });
});

describe('a collation under which different texts are equal', () => {
  it('keeps keys apart from their spelling', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    const nocase = `CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;
    const table = 'CREATE TABLE t (k text COLLATE nocase PRIMARY KEY, v int)';
    // Collations are not migrated yet, so the table is made by hand.
    for (const { session } of [source, target]) await session.query(`${nocase}; ${table}`);
    await source.session.query(`INSERT INTO t VALUES ('a', 1), ('B', 2), ('c', 3)`);
    const types = ['full', 'incremental'] as const;
    await migrate(source, target, { types });
    await source.session.query(
      `UPDATE t SET k = 'A' WHERE v = 1; UPDATE t SET v = 20 WHERE k = 'b'; DELETE FROM t WHERE k = 'C'; INSERT INTO t VALUES ('C', 4); UPDATE t SET v = v + 1`,
    );
    await migrate(source, target, { types });
    expect((await compare(source, target)).differing).toEqual([]);
  });
});

describe('memory', () => {
  it('does not grow with the size of deleted rows under REPLICA IDENTITY FULL', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(
      `CREATE TABLE wide (id int PRIMARY KEY, v text); ALTER TABLE wide ALTER v SET STORAGE EXTERNAL; ALTER TABLE wide REPLICA IDENTITY FULL; INSERT INTO wide SELECT i, repeat(md5(i::text), 32768) FROM generate_series(1, 200) i`,
    );
    await migrate(source, target);
    await source.session.query('DELETE FROM wide');
    // What is held, not what waits to be collected.
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    let held = 0;
    const timer = setInterval(() => {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      held = Math.max(held, heapUsed + external);
    }, 100);
    collect();
    const { heapUsed, external } = process.memoryUsage();
    await migrate(source, target);
    clearInterval(timer);
    expect((await compare(source, target)).differing).toEqual([]);
    expect((held - heapUsed - external) / 1024 / 1024).toBeLessThan(80);
  });
});
