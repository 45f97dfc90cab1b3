import { describe, expect, it } from 'vitest';
import { sleep } from '../base/runtime/sleep.ts';
import { freshDatabase } from '../../test/database.ts';
import { startLoad } from './load.ts';
import { seedShop } from './shop/seed.ts';

const SHOP = "('catalog', 'stock', 'sales', 'web')";

describe.each([12, 15, 18] as const)('the shop on PostgreSQL %i', (major) => {
  it('is made with rows in every table but the audit, partitions included, and out-of-line values', async () => {
    await using db = await freshDatabase(major);
    await using session = await db.open();
    await seedShop(session, { scale: 0.01 });
    const tables = await session.query(
      `SELECT format('%s.%s', n.nspname, c.relname) AS name,
              (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.%I', n.nspname, c.relname), true, true, '')))[1]::text AS n
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ${SHOP} AND c.relkind IN ('r', 'm', 'v') ORDER BY name`,
    );
    expect(tables.filter((table) => table.n === '0').map((table) => table.name)).toEqual(['stock.audit']);
    expect(tables.length).toBeGreaterThanOrEqual(20);
    const { toast } = await session.one(
      "SELECT pg_relation_size(reltoastrelid)::text AS toast FROM pg_class WHERE oid = 'catalog.product_text'::regclass",
    );
    expect(Number(toast)).toBeGreaterThan(500_000);
  });

  it('lives under a load that does every kind of business, and stays consistent', async () => {
    await using db = await freshDatabase(major);
    await using session = await db.open();
    await seedShop(session, { scale: 0.01 });
    const load = startLoad(() => db.open({ role: 'load' }), { clients: 3, pauseMs: 1 });
    await sleep(3000);
    const { committedByKind, ...counts } = await load.stop();
    const { abandonOrder, ...committed } = committedByKind;
    expect(Object.entries(committed).filter(([, times]) => times < 2n)).toEqual([]);
    expect(abandonOrder).toBe(0n);
    expect(counts.rolledBack).toBeGreaterThanOrEqual(3n);
    expect(counts.statements).toBeGreaterThan(counts.transactions);
    const seen = await session.one(`
      SELECT (SELECT count(*) FROM stock.audit) > 0 AS audited,
             (SELECT count(*) FROM catalog.product_text WHERE revision > 1) > 0 AS revised,
             (SELECT count(*) FROM sales.review WHERE body LIKE 'a draft%') = 0 AS no_draft,
             (SELECT count(*) FROM sales.coupon WHERE code ~ '[a-f]') > 0 AS renamed,
             (SELECT count(*) FROM web.page_view WHERE on_day = '2025-11-20') > 0 AS viewed,
             (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'test:load') = 0 AS ended`);
    expect(seen).toEqual({
      audited: 't',
      revised: 't',
      no_draft: 't',
      renamed: 't',
      viewed: 't',
      ended: 't',
    });
  });
});

describe('a load', () => {
  it('reports at its end what made a client fail', async () => {
    await using db = await freshDatabase(18);
    await using session = await db.open();
    await seedShop(session, { scale: 0.01 });
    const load = startLoad(() => db.open({ role: 'load' }), { clients: 1, pauseMs: 1 });
    await session.query('DROP TABLE web.page_view');
    await sleep(1500);
    await expect(load.stop()).rejects.toMatchObject({ fields: { sqlstate: '42P01' } });
  });
});
