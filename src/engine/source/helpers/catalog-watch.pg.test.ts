/** What comparing catalogs sees, on real servers. */
import { describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/database.ts';
import { displayName } from '../../change/relation.ts';
import { readTables } from '../../pg/catalog/tables/tables.ts';
import type { CatalogEvent } from './catalog-diff.ts';
import { CatalogWatch } from './catalog-watch.ts';

function brief(event: CatalogEvent): string {
  const name = displayName(event.table);
  switch (event.kind) {
    case 'created':
    case 'dropped':
      return `${name} ${event.kind}`;
    case 'attached':
    case 'detached':
      return `${name} ${event.kind} ${event.root}`;
    case 'column-added':
    case 'column-dropped':
      return `${name} ${event.kind} ${event.column}`;
    case 'column-renamed':
    case 'column-retyped':
      return `${name} ${event.kind} ${event.column} was ${event.before}`;
    case 'renamed':
    case 'replaced':
    case 'became-partitioned':
      return `${name} ${event.kind} ${displayName(event.before)} ${event.before.oid === event.table.oid}`;
    case 'identity-changed':
    case 'persistence-changed':
      return `${name} ${event.kind} ${event.before.replicaIdentity}/${event.before.persistence}`;
  }
}

describe.each([12, 15, 18] as const)('on PostgreSQL %i a look at the catalog', (major) => {
  it('tells each change of a table once, and nothing where nothing happened', async () => {
    await using db = await freshDatabase(major);
    await db.session.query(`
      CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, a int, "B" varchar(10)); CREATE TABLE s.old (id int);
      CREATE TABLE s.p (id int NOT NULL) PARTITION BY LIST (id); CREATE TABLE s.leaf (id int NOT NULL); CREATE TABLE s.plain (id int);
      CREATE UNIQUE INDEX leaf_id ON s.leaf (id)`);
    await using session = await db.open();
    const root = (await readTables(session)).find(({ name }) => name === 'p')?.oid;
    const watch = new CatalogWatch(await readTables(session));
    const look = async (sql: string) => {
      await db.session.query(sql);
      return (await watch.look(session)).map(brief);
    };
    expect(await look('SELECT')).toEqual([]);
    const cases: [string, string[]][] = [
      ['INSERT INTO s.t VALUES (1, 1, $$x$$); ANALYZE; CREATE TEMP TABLE x (id int)', []],
      ['ALTER TABLE s.t ADD c text', ['s.t column-added c']],
      ['ALTER TABLE s.t RENAME "B" TO b', ['s.t column-renamed b was B']],
      ['ALTER TABLE s.t ALTER b TYPE varchar(20)', ['s.t column-retyped b was character varying(10)']],
      [
        'ALTER TABLE s.t ALTER a TYPE bigint, DROP c',
        ['s.t column-retyped a was integer', 's.t column-dropped c'],
      ],
      ['ALTER TABLE s.t RENAME id TO key', ['s.t column-renamed key was id']],
      ['ALTER TABLE s.t REPLICA IDENTITY FULL', ['s.t identity-changed default/permanent']],
      [
        'ALTER TABLE s.leaf REPLICA IDENTITY USING INDEX leaf_id',
        ['s.leaf identity-changed default/permanent'],
      ],
      ['ALTER TABLE s.t RENAME TO u', ['s.u renamed s.t true']],
      [
        'ALTER SCHEMA s RENAME TO r',
        [
          'r.leaf renamed s.leaf true',
          'r.old renamed s.old true',
          'r.p renamed s.p true',
          'r.plain renamed s.plain true',
          'r.u renamed s.u true',
        ],
      ],
      [
        'ALTER SCHEMA r RENAME TO s',
        [
          's.leaf renamed r.leaf true',
          's.old renamed r.old true',
          's.p renamed r.p true',
          's.plain renamed r.plain true',
          's.u renamed r.u true',
        ],
      ],
      ['ALTER TABLE s.p ATTACH PARTITION s.leaf FOR VALUES IN (1)', [`s.leaf attached ${root}`]],
      ['ALTER TABLE s.p DETACH PARTITION s.leaf', [`s.leaf detached ${root}`]],
      ['ALTER TABLE s.plain SET UNLOGGED', ['s.plain persistence-changed default/permanent']],
      ['DROP TABLE s.old; CREATE TABLE s.old (id int)', ['s.old replaced s.old false']],
      ['ALTER TABLE s.u RENAME TO v; CREATE TABLE s.u (id int)', ['s.u created', 's.v renamed s.u true']],
      [
        'DROP TABLE s.u; CREATE TABLE s.u (id int) PARTITION BY LIST (id)',
        ['s.u became-partitioned s.u false'],
      ],
      ['DROP TABLE s.plain; CREATE TABLE s.n (a int)', ['s.n created', 's.plain dropped']],
    ];
    for (const [sql, events] of cases) expect(await look(sql), sql).toEqual(events);
    expect(await look('SELECT')).toEqual([]);
  });

  it('waits for nobody who holds a table', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE held (id int)');
    await using session = await db.open();
    const watch = new CatalogWatch(await readTables(session));
    await using holder = await db.open();
    await holder.query('BEGIN; LOCK TABLE public.held');
    await db.session.query('CREATE TABLE other (id int)');
    await session.query("SET lock_timeout = '1s'");
    expect((await watch.look(session)).map(brief)).toEqual(['public.other created']);
  });
});
