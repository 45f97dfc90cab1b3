import { expect, it } from 'vitest';
import { openCanonical } from './canonical.ts';

const canonical = await openCanonical();

it.each([
  ['SELECT o.a, o.b FROM s.o WHERE (o.a > 1)', 'SELECT a, b FROM s.o WHERE (a > 1)'],
  ['SELECT "Ö x".a FROM s.o "Ö x"', 'SELECT a FROM s.o "Ö x"'],
  [
    'CREATE VIEW v AS WITH c AS (SELECT t.a FROM s.t) SELECT c.a FROM c',
    'CREATE VIEW v AS WITH c AS (SELECT a FROM s.t) SELECT a FROM c',
  ],
  // Which relation a column is of is said where there are several, and kept where it is another's.
  ['SELECT o.a FROM s.o JOIN s.p ON (p.b = o.b)', 'SELECT o.a FROM s.o JOIN s.p ON (p.b = o.b)'],
  ['SELECT o.a FROM s.o, s.p', 'SELECT o.a FROM s.o, s.p'],
  ['SELECT (SELECT o.a FROM s.p) FROM s.o', 'SELECT (SELECT o.a FROM s.p) FROM s.o'],
  ['SELECT o.* FROM s.o', 'SELECT o.* FROM s.o'],
  [
    `SELECT nextval('"S"."q_1"'::regclass), '"a"', "Ä"."b" FROM "S"."o" "x"("time")`,
    `SELECT nextval('"S".q_1'::regclass), '"a"', "Ä".b FROM "S".o x(time)`,
  ],
  ['no sql at all', 'no sql at all'],
])('of %s is %s', (sql, wanted) => {
  expect(canonical(sql)).toBe(wanted);
});

it('is the same without casts where a text speaks of a column that has another type, and only there', async () => {
  const retyped = await openCanonical(new Set(['name']));
  expect(retyped(`SELECT t.id FROM s.t WHERE ((t.name)::text <> 'x'::text)`)).toBe(
    retyped(`SELECT id FROM s.t WHERE ("name" <> 'x')`),
  );
  expect(retyped('ALTER TABLE t ADD CHECK (name > 1)')).not.toBe(
    retyped('ALTER TABLE t ADD CHECK (name >= 1)'),
  );
  expect(retyped('CREATE TABLE t (name text)')).not.toBe(retyped('CREATE TABLE t (name bigint)'));
  expect(retyped('SELECT (id)::text')).not.toBe(retyped('SELECT id'));
});
