/** What real servers print, rewritten and run: on a schema, a table and columns that are called otherwise. */
import { describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/database.ts';
import { nameKey } from '../../change/relation.ts';
import type { NameMap } from './names.ts';
import { loadParser } from './parser.ts';
import { rewriterOf } from './rewriter.ts';

const SOURCE = `
  CREATE SCHEMA shop;
  CREATE TYPE shop.mood AS ENUM ('calm', 'cross');
  CREATE SEQUENCE shop.s;
  CREATE TABLE shop.orders (id int, total numeric, "tür" text, at shop.mood DEFAULT 'calm');
  INSERT INTO shop.orders VALUES (1, 10, 'a', 'calm'), (2, 20, 'b', 'cross'), (3, 30, NULL, 'calm');
  CREATE TABLE shop.line (id int, total numeric, order_id int);
  INSERT INTO shop.line VALUES (1, 5, 1), (2, 6, 1), (3, 7, 3);
  CREATE FUNCTION shop.twice(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
  CREATE VIEW shop.plain AS SELECT id, total, upper("tür") AS up FROM shop.orders WHERE total > 5;
  CREATE VIEW shop.joined AS SELECT o.total, l.total AS part, shop.twice(l.total) AS twice FROM shop.orders o JOIN shop.line l ON l.order_id = o.id;
  CREATE VIEW shop.usings AS SELECT id, orders.total, line.total AS part FROM shop.orders JOIN shop.line USING (id);
  CREATE VIEW shop.deep AS WITH t AS (SELECT total, count(*) FROM shop.orders GROUP BY total)
    SELECT t.total, (SELECT max(l.total) FROM shop.line l WHERE l.total < t.total) AS most, o AS whole,
           EXISTS (SELECT FROM shop.orders i WHERE i.total > o.total) AS is_less
      FROM t, shop.orders o WHERE o.total = t.total AND o.at = 'calm'::shop.mood
    UNION ALL SELECT sum(total), NULL, NULL, false FROM shop.orders;
  CREATE VIEW shop.windows AS SELECT row_number() OVER (PARTITION BY at ORDER BY total DESC) AS n, orders.* FROM shop.orders;
  CREATE VIEW shop.above AS SELECT p.total FROM shop.plain p;
  CREATE VIEW shop.lateral AS SELECT o.id, x.half FROM shop.orders o CROSS JOIN LATERAL (SELECT o.total / 2 AS half) x;`;

const VIEWS = ['plain', 'joined', 'usings', 'deep', 'windows', 'above', 'lateral'];
const COLUMNS = {
  renamed: new Map([
    ['total', 'a "mount"'],
    ['at', 'order'],
  ]),
  inOrder: ['id', 'total', 'tür', 'at'],
};
const MAP: NameMap = {
  schema: (name) => (name === 'shop' ? 'Store 2' : name),
  relation: ({ schema, name }) => ({
    schema: schema === 'shop' ? 'Store 2' : schema,
    name: schema === 'shop' && name === 'orders' ? 'purch.ases' : name,
  }),
  columns: (table) => (nameKey(table) === nameKey({ schema: 'shop', name: 'orders' }) ? COLUMNS : null),
  isAffected: (name) => name === 'orders',
  isAffectedColumn: (name) => COLUMNS.renamed.has(name),
  leavesOut: (name) => name === 'gone',
};

describe.each([12, 15, 18] as const)('on PostgreSQL %i', (major) => {
  it('views, expressions, constraints, indexes, rules and triggers mean the same under other names', async () => {
    await using db = await freshDatabase(major);
    await db.session.query(SOURCE);
    await using session = await db.open();
    const rewriter = rewriterOf(await loadParser(), MAP);
    await session.query(`
      ALTER TABLE shop.orders ADD CONSTRAINT k PRIMARY KEY (id, total), ADD CONSTRAINT c CHECK (total > 0 AND shop.twice(total) > id),
        ALTER id SET DEFAULT nextval('shop.s');
      ALTER TABLE shop.line ADD CONSTRAINT f FOREIGN KEY (id, total) REFERENCES shop.orders (id, total) NOT VALID;
      CREATE INDEX i ON shop.orders USING btree (total DESC, lower("tür") COLLATE "C") INCLUDE (at) WHERE at = 'calm' AND total > 1;
      CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER t BEFORE UPDATE OF total, at ON shop.orders FOR EACH ROW WHEN (NEW.total > OLD.total) EXECUTE FUNCTION shop.touch();
      CREATE RULE r AS ON UPDATE TO shop.plain DO INSTEAD UPDATE shop.orders o SET total = NEW.total WHERE o.id = OLD.id AND o.total = OLD.total;
      CREATE FUNCTION shop.sum_of(shop.mood) RETURNS numeric LANGUAGE sql AS 'SELECT sum(o.total) FROM shop.orders o WHERE o.at = $1'`);
    const one = async (sql: string) => (await session.one(`SELECT (${sql}) AS def`)).def ?? '';
    const oid = (name: string) => `'shop.${name}'::regclass`;
    const definitions = await Promise.all(VIEWS.map((view) => one(`pg_get_viewdef(${oid(view)})`)));
    const constraint = (name: string) =>
      one(`SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '${name}'`);
    const orders = { schema: 'shop', name: 'orders' };
    const statements = [
      `CREATE SCHEMA "Store 2"; CREATE TYPE "Store 2".mood AS ENUM ('calm', 'cross'); CREATE SEQUENCE "Store 2".s`,
      `CREATE TABLE "Store 2"."purch.ases" (id int DEFAULT ${rewriter.expression(await one(`SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = ${oid('orders')} AND adnum = 1`), orders)}, "a ""mount""" numeric, "tür" text, "order" "Store 2".mood)`,
      `INSERT INTO "Store 2"."purch.ases" SELECT id, total, "tür", at::text::"Store 2".mood FROM shop.orders`,
      'CREATE TABLE "Store 2".line AS SELECT * FROM shop.line',
      rewriter.routine(await one(`pg_get_functiondef('shop.twice'::regproc)`)).sql,
      rewriter.routine(await one(`pg_get_functiondef('shop.touch'::regproc)`)).sql,
      rewriter.routine(await one(`pg_get_functiondef('shop.sum_of'::regproc)`)).sql,
      ...definitions.map((sql, at) => `CREATE VIEW "Store 2".${VIEWS[at]} AS ${rewriter.query(sql)}`),
      `ALTER TABLE "Store 2"."purch.ases" ADD CONSTRAINT k ${rewriter.constraint(await constraint('k'), orders)}, ADD CONSTRAINT c ${rewriter.constraint(await constraint('c'), orders)}`,
      `ALTER TABLE "Store 2".line ADD CONSTRAINT f ${rewriter.constraint(await constraint('f'), { schema: 'shop', name: 'line' })}`,
      rewriter.statement(await one(`pg_get_indexdef('shop.i'::regclass)`)),
      rewriter.statement(await one(`SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 't'`)),
      rewriter.statement(await one(`SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE rulename = 'r'`)),
    ];
    for (const sql of statements) await session.query(sql);
    const rows = async (view: string) => session.query(`SELECT v::text FROM ${view} v ORDER BY 1`);
    for (const view of VIEWS) expect(await rows(`"Store 2".${view}`)).toEqual(await rows(`shop.${view}`));
    await session.query(
      'UPDATE "Store 2".plain SET total = total + 1; UPDATE shop.plain SET total = total + 1',
    );
    expect(await rows('"Store 2"."purch.ases"')).toEqual(await rows('shop.orders'));
    expect(await one(`"Store 2".sum_of('calm')`)).toBe(await one("shop.sum_of('calm')"));
    const columns = (schema: string) =>
      session.query(
        `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '${schema}' AND table_name = ANY ('{${VIEWS.join(',')}}') ORDER BY 1, ordinal_position`,
      );
    expect(await columns('Store 2')).toEqual(await columns('shop'));
    // Nothing of the copy hangs on the source's schema.
    await session.query('DROP SCHEMA shop CASCADE');
    expect(await session.query('SELECT * FROM "Store 2".plain')).toHaveLength(3);
  });
});
