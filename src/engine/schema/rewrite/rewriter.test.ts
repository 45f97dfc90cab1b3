import { describe, expect, it } from 'vitest';
import { nameKey, type QualifiedName } from '../../change/relation.ts';
import { nameTexts } from './name-texts.ts';
import { NeedsLook, type NameMap } from './names.ts';
import { loadParser } from './parser.ts';
import { rewriterOf } from './rewriter.ts';

const ORDERS = { schema: 'shop', name: 'orders' };
const COLUMNS = { renamed: new Map([['total', 'amount']]), inOrder: ['id', 'total', 'tür'] };

/** `shop` is `Store 2`; `shop.orders` is `Store 2.purchases`, its `total` is `amount`. */
const MAP: NameMap = {
  schema: (name) => (name === 'shop' ? 'Store 2' : name),
  relation: ({ schema, name }: QualifiedName) => ({
    schema: schema === 'shop' ? 'Store 2' : schema,
    name: schema === 'shop' && name === 'orders' ? 'purchases' : name,
  }),
  columns: (table) => (nameKey(table) === nameKey(ORDERS) ? COLUMNS : null),
  isAffected: (name) => name === 'orders',
  isAffectedColumn: (name) => COLUMNS.renamed.has(name),
  leavesOut: (name) => name === 'gone',
};
const parser = await loadParser();
const rewriter = rewriterOf(parser, MAP);
const LIST = '("id", "total", "tür")';

describe('a query', () => {
  it.each([
    [
      ' SELECT orders.id,\n    orders.total\n   FROM shop.orders\n  WHERE (orders."tür" > 1);',
      ` SELECT orders.id,\n    orders.total\n   FROM "Store 2"."purchases" "orders"${LIST}\n  WHERE (orders."tür" > 1);`,
    ],
    ['SELECT id FROM ONLY shop.orders o', `SELECT id FROM ONLY "Store 2"."purchases" o${LIST}`],
    [
      "SELECT 'öüß', o.x FROM shop.orders AS o(x, y) JOIN shop.other t USING (id)",
      `SELECT 'öüß', o.x FROM "Store 2"."purchases" AS o(x, y, "tür") JOIN "Store 2"."other" t USING (id)`,
    ],
    [
      'SELECT shop.f(a.x), (a.y)::shop.mood[], a.z OPERATOR(shop.+) 1, a.t COLLATE shop.de FROM other.a',
      'SELECT "Store 2".f(a.x), (a.y)::"Store 2".mood[], a.z OPERATOR("Store 2".+) 1, a.t COLLATE "Store 2".de FROM other.a',
    ],
    [
      "SELECT nextval('shop.orders'::regclass), 'shop.f(integer)'::regprocedure, 'shop'::regnamespace, 'shop.orders'::text",
      `SELECT nextval('"Store 2"."purchases"'::regclass), '"Store 2"."f"(integer)'::regprocedure, '"Store 2"'::regnamespace, 'shop.orders'::text`,
    ],
    [
      'WITH RECURSIVE r AS (SELECT o.id FROM shop.orders o UNION ALL SELECT r_1.id FROM r r_1) SELECT id FROM r FOR UPDATE OF r',
      `WITH RECURSIVE r AS (SELECT o.id FROM "Store 2"."purchases" o${LIST} UNION ALL SELECT r_1.id FROM r r_1) SELECT id FROM r FOR UPDATE OF r`,
    ],
    [
      'SELECT s.id FROM shop.orders s TABLESAMPLE system (1), LATERAL shop.g(s.total) g(a)',
      `SELECT s.id FROM "Store 2"."purchases" s${LIST} TABLESAMPLE system (1), LATERAL "Store 2".g(s.total) g(a)`,
    ],
    ['SELECT a.total FROM other.a', 'SELECT a.total FROM other.a'],
  ])('%s', (sql, wanted) => {
    expect(rewriter.query(sql)).toBe(wanted);
  });
});

describe('an expression over a table', () => {
  it.each([
    [
      '((total > (0)::numeric) AND (orders.total < id))',
      '(("amount" > (0)::numeric) AND ("purchases"."amount" < id))',
    ],
    [
      '(EXISTS ( SELECT 1 FROM shop.orders o WHERE (o.total = orders.total)))',
      `(EXISTS ( SELECT 1 FROM "Store 2"."purchases" o${LIST} WHERE (o.total = "purchases"."amount")))`,
    ],
    ["nextval('shop.s'::regclass)", `nextval('"Store 2"."s"'::regclass)`],
  ])('%s', (sql, wanted) => {
    expect(rewriter.expression(sql, ORDERS)).toBe(wanted);
  });
});

describe('a constraint', () => {
  it.each([
    ['CHECK ((total > id)) NOT VALID', 'CHECK (("amount" > id)) NOT VALID'],
    ['PRIMARY KEY (id, total) INCLUDE ("tür")', 'PRIMARY KEY (id, "amount") INCLUDE ("tür")'],
    ['UNIQUE NULLS NOT DISTINCT (total) DEFERRABLE', 'UNIQUE NULLS NOT DISTINCT ("amount") DEFERRABLE'],
    [
      'FOREIGN KEY (total) REFERENCES shop.orders(total, id) ON DELETE SET NULL (total)',
      'FOREIGN KEY ("amount") REFERENCES "Store 2"."purchases"("amount", id) ON DELETE SET NULL ("amount")',
    ],
    [
      'FOREIGN KEY (id, PERIOD total) REFERENCES other.t(id, PERIOD at)',
      'FOREIGN KEY (id, PERIOD "amount") REFERENCES other.t(id, PERIOD at)',
    ],
    [
      'EXCLUDE USING gist (total WITH &&, lower("tür") WITH =) WHERE ((total > 0))',
      'EXCLUDE USING gist ("amount" WITH &&, lower("tür") WITH =) WHERE (("amount" > 0))',
    ],
    ['CHECK (shop.fits(orders.*))', 'CHECK ("Store 2".fits("purchases".*))'],
    ['FOREIGN KEY (total) REFERENCES other.t(total)', 'FOREIGN KEY ("amount") REFERENCES other.t(total)'],
  ])('%s', (sql, wanted) => {
    expect(rewriter.constraint(sql, ORDERS)).toBe(wanted);
  });
});

describe('a statement', () => {
  it.each([
    [
      'CREATE UNIQUE INDEX i ON shop.orders USING btree (total DESC, lower((total)::text) COLLATE "C", id shop.my_ops) INCLUDE (total) WHERE (total > 1)',
      'CREATE UNIQUE INDEX i ON "Store 2"."purchases" USING btree ("amount" DESC, lower(("amount")::text) COLLATE "C", id "Store 2".my_ops) INCLUDE ("amount") WHERE ("amount" > 1)',
    ],
    [
      'CREATE TRIGGER of BEFORE UPDATE OF id, total ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.f()',
      'CREATE TRIGGER of BEFORE UPDATE OF id, "amount" ON "Store 2"."purchases" FOR EACH ROW EXECUTE FUNCTION "Store 2".f()',
    ],
    [
      'CREATE INDEX i ON shop.orders USING btree (id) WHERE (include > 1)',
      'CREATE INDEX i ON "Store 2"."purchases" USING btree (id) WHERE (include > 1)',
    ],
    [
      'CREATE TRIGGER t BEFORE UPDATE OF id, total ON shop.orders FOR EACH ROW WHEN ((new.total > old.total)) EXECUTE FUNCTION shop.f()',
      'CREATE TRIGGER t BEFORE UPDATE OF id, "amount" ON "Store 2"."purchases" FOR EACH ROW WHEN ((new."amount" > old."amount")) EXECUTE FUNCTION "Store 2".f()',
    ],
    [
      'CREATE RULE r AS ON UPDATE TO shop.orders WHERE (new.total > 0) DO INSTEAD UPDATE shop.orders o SET total = new.total WHERE (o.total = old.total)',
      'CREATE RULE r AS ON UPDATE TO "Store 2"."purchases" WHERE (new."amount" > 0) DO INSTEAD UPDATE "Store 2"."purchases" o SET "amount" = new."amount" WHERE (o."amount" = old."amount")',
    ],
    [
      'CREATE RULE r AS ON INSERT TO shop.v DO INSTEAD INSERT INTO shop.orders (id, total) VALUES (new.id, new.total)',
      'CREATE RULE r AS ON INSERT TO "Store 2"."v" DO INSTEAD INSERT INTO "Store 2"."purchases" (id, "amount") VALUES (new.id, new.total)',
    ],
    [
      'CREATE STATISTICS shop.st (ndistinct) ON total, id, lower(tür), (total + id) FROM shop.orders',
      'CREATE STATISTICS "Store 2".st (ndistinct) ON "amount", id, lower(tür), ("amount" + id) FROM "Store 2"."purchases"',
    ],
  ])('%s', (sql, wanted) => {
    expect(rewriter.statement(sql)).toBe(wanted);
  });

  it('that cannot be rewritten with certainty is left to a person', () => {
    const sql =
      'CREATE RULE r AS ON INSERT TO other.t DO ALSO INSERT INTO shop.orders (id, total) VALUES (1, 2) ON CONFLICT (total) DO NOTHING';
    expect(() => rewriter.statement(sql)).toThrow(NeedsLook);
  });

  it.each([
    ['RANGE (total)', 'RANGE ("amount")'],
    ['LIST (lower("tür"), id shop.my_ops)', 'LIST (lower("tür"), id "Store 2".my_ops)'],
    ['RANGE (id, ((total + 1)))', 'RANGE (id, (("amount" + 1)))'],
  ])('has a partition key in its columns: %s', (sql, wanted) => {
    expect(rewriter.partitionKey(sql, ORDERS)).toBe(wanted);
  });
});

describe('a function', () => {
  it.each([
    [
      'CREATE OR REPLACE FUNCTION shop.f(a shop.mood)\n RETURNS SETOF shop.orders\n LANGUAGE sql\nAS $function$SELECT o.* FROM shop.orders o$function$\n',
      `CREATE OR REPLACE FUNCTION "Store 2".f(a "Store 2".mood)\n RETURNS SETOF "Store 2"."purchases"\n LANGUAGE sql\nAS $function$SELECT o.* FROM "Store 2"."purchases" o${LIST}$function$\n`,
    ],
    [
      'CREATE OR REPLACE FUNCTION shop.g(x integer) RETURNS numeric LANGUAGE sql BEGIN ATOMIC SELECT orders.total FROM shop.orders WHERE (orders.id = g.x); END',
      `CREATE OR REPLACE FUNCTION "Store 2".g(x integer) RETURNS numeric LANGUAGE sql BEGIN ATOMIC SELECT orders.total FROM "Store 2"."purchases" "orders"${LIST} WHERE (orders.id = g.x); END`,
    ],
    [
      "CREATE FUNCTION shop.h(o shop.orders, shop.orders) RETURNS numeric LANGUAGE sql AS 'SELECT $1.total + ($2).total + o.total + (o).total'",
      `CREATE FUNCTION "Store 2".h(o "Store 2"."purchases", "Store 2"."purchases") RETURNS numeric LANGUAGE sql AS 'SELECT $1."amount" + ($2)."amount" + o."amount" + (o)."amount"'`,
    ],
    [
      "CREATE FUNCTION other.f() RETURNS int LANGUAGE plpgsql SET search_path TO 'shop', 'Other' AS $$BEGIN END$$",
      `CREATE FUNCTION other.f() RETURNS int LANGUAGE plpgsql SET search_path TO 'Store 2', 'Other' AS $$BEGIN END$$`,
    ],
  ])('%s', (sql, wanted) => {
    expect(rewriter.routine(sql)).toEqual({ sql: wanted, look: null });
  });

  it.each([
    ["CREATE FUNCTION other.f() RETURNS void LANGUAGE sql AS 'not sql at all'", /cannot be read/],
    [
      "CREATE FUNCTION shop.f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders'",
      /"orders" without a schema/,
    ],
    ["CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql AS 'SELECT x.total'", /"total" of a row/],
    [
      "CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql AS 'SELECT o.gone FROM shop.orders o'",
      /"gone", which is left out/,
    ],
    [
      "CREATE FUNCTION shop.f(int) RETURNS int LANGUAGE sql AS 'SELECT (other.g($1)).total'",
      /"total" of a row/,
    ],
  ])('whose body cannot be rewritten keeps it, and says why: %s', (sql, reason) => {
    const { sql: rewritten, look } = rewriter.routine(sql);
    expect(rewritten).toBe(sql.replace('shop.f', '"Store 2".f'));
    expect(look).toMatch(reason);
  });
});

describe('texts of names', () => {
  const names = nameTexts(parser, MAP);

  it('of a search_path', () => {
    expect(names.searchPath('"$user", shop, "other one", public')).toBe(
      '"$user", "Store 2", "other one", public',
    );
  });

  it.each([
    ['shop.mood[]', '"Store 2".mood[]'],
    ['shop.orders', '"Store 2"."purchases"'],
    [
      'a integer, VARIADIC b shop."My Mood"[], OUT c shop.orders',
      'a integer, VARIADIC b "Store 2"."My Mood"[], OUT c "Store 2"."purchases"',
    ],
    ['character varying(40)', 'character varying(40)'],
    ['"shop".orders', '"Store 2"."purchases"'],
  ])('of types: %s', (text, wanted) => {
    expect(names.types(text)).toBe(wanted);
  });

  it.each([
    ['OPERATOR 1 shop.<(integer,integer)', 'OPERATOR 1 "Store 2".<(integer,integer)'],
    ['SFUNC = shop.orders', 'SFUNC = "Store 2".orders'],
    [
      "dictfile = 'shop.other', dictionary = 'shop.other'",
      `dictfile = 'shop.other', dictionary = '"Store 2".other'`,
    ],
    ["dictionary = 'english_stem', stopwords = 'x'", "dictionary = 'english_stem', stopwords = 'x'"],
  ])('of others: %s', (text, wanted) => {
    expect(names.schemas(text)).toBe(wanted);
  });
});
