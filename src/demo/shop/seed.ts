/** Makes the shop: tables, rows made by the server itself, then keys, routines and views. The rows are the same every time. */
import type { Session } from '../../engine/pg/session.ts';
import { CATALOG_TABLES } from './catalog-tables.ts';
import { SHOP_KEYS } from './keys.ts';
import { SHOP_ROUTINES } from './routines.ts';
import { SALES_TABLES } from './sales-tables.ts';

export interface ShopSize {
  readonly products: number;
  readonly customers: number;
  readonly coupons: number;
  readonly orders: number;
  readonly events: number;
  readonly pageViews: number;
}

/** Rows at a scale; 1 is the demo: over a million rows in all. */
function shopSize(scale: number): ShopSize {
  const rows = (base: number, least: number) => Math.max(least, Math.round(base * scale));
  return {
    products: rows(1500, 40),
    customers: rows(60_000, 200),
    coupons: rows(4000, 40),
    orders: rows(150_000, 600),
    events: rows(330_000, 500),
    pageViews: rows(30_000, 300),
  };
}

/**
 * Creates the whole shop in an empty database (PostgreSQL 12 or later) and fills it; `scale` 1 is about 1.2 million rows.
 * The user must be allowed to create schemas.
 */
export async function seedShop(session: Session, { scale }: { readonly scale: number }): Promise<void> {
  await session.query(CATALOG_TABLES + SALES_TABLES);
  // One transaction: nobody sees half a shop, and PostgreSQL flushes once.
  await session.transaction(async () => {
    for (const sql of [...catalogRows(shopSize(scale)), ...salesRows(shopSize(scale))])
      await session.query(sql);
  });
  await session.query(SHOP_KEYS);
  await session.query(SHOP_ROUTINES);
  await session.query('ANALYZE');
}

/** A number from 0 to n-1 that looks random, always the same for the same i. */
function pick(i: string, prime: number, n: number): string {
  return `((${i}::int8 * ${prime}) % ${n})`;
}

const WORDS =
  'the,with,light,steel,handle,soft,größe,wood,easy,clean,café,garden,every,day,made,strong,quiet,color,warm,water,' +
  'proof,small,large,kitchen,summer,winter,design,natural,cotton,style,smart,home,outdoor,travel,€uro,family,and,for,of,in,comfort,' +
  'premium,durable,classic,modern,safe,recycled,handmade,limited,edition';

function catalogRows(size: ShopSize): string[] {
  const p = (prime: number, n: number) => pick('i', prime, n);
  return [
    `INSERT INTO catalog.category (parent_id, name, path)
     SELECT CASE WHEN i <= 8 THEN NULL ELSE 1 + ${p(7, 8)} END, 'Category ' || i,
            CASE WHEN i <= 8 THEN ARRAY['c' || i] ELSE ARRAY['c' || 1 + ${p(7, 8)}, 'c' || i] END
       FROM generate_series(1, 60) i`,
    `INSERT INTO catalog.brand (name, founded, site)
     SELECT 'Brand ' || i, CASE WHEN i % 7 > 0 THEN date '1900-01-01' + (${p(997, 40_000)})::int END, 'https://brand' || i || '.example'
       FROM generate_series(1, 80) i`,
    `INSERT INTO catalog.product (sku, brand_id, category_id, name, price, attributes, tags, size, weight_kg, active, updated_at)
     SELECT chr(65 + i % 26) || 'XY-' || lpad(i::text, 6, '0'), 1 + ${p(31, 80)}, 1 + ${p(17, 60)}, 'Product ' || i || ' "édition"',
            ${p(7919, 90_000)} / 100.0, jsonb_build_object('color', (ARRAY['red','green','blue'])[1 + i % 3], 'rating', ${p(13, 50)} / 10.0),
            CASE WHEN i % 9 = 0 THEN '{}' ELSE ARRAY['tag' || i % 20, 'a,b "' || i % 5 || '"'] END,
            CASE WHEN i % 6 > 0 THEN ROW(i % 900, i % 700, NULL)::catalog.dimensions END,
            CASE i % 50 WHEN 0 THEN NULL ELSE ${p(3571, 100_000)} / 7000.0::float8 END, i % 12 > 0, timestamptz '2025-06-01' - i * interval '1 hour'
       FROM generate_series(1, ${size.products}) i`,
    // 20 to 60 kB each, cut out of sixteen long texts.
    `WITH vocabulary AS (SELECT string_to_array('${WORDS}', ',') AS words),
          body AS (SELECT b, string_agg(words[1 + ((i::int8 * i * 31 + i * (7 + b) + i / 5) % 50)::int], ' ' ORDER BY i) AS text
                     FROM vocabulary, generate_series(0, 15) b, generate_series(1, 11000) i GROUP BY b)
     INSERT INTO catalog.product_text (product_id, description)
     SELECT i, i || ': ' || substr(body.text, (${p(97, 3000)})::int, (20000 + ${p(7919, 40_000)})::int)
       FROM generate_series(1, ${size.products}) i JOIN body ON body.b = i % 16`,
    `INSERT INTO catalog.product_image (product_id, thumbnail, checksum, taken)
     SELECT i, decode(repeat(md5(i || ':' || n), 20 + (i + n) % 60), 'hex'), md5(i || '-' || n)::uuid, time '08:00' + i * interval '7 seconds'
       FROM generate_series(1, ${size.products}) i, generate_series(1, 3) n`,
    `INSERT INTO catalog.price_history (product_id, valid, price, reason)
     SELECT i, daterange(date '2022-01-01' + 180 * n, CASE WHEN n < 4 THEN date '2022-01-01' + 180 * (n + 1) END), (${p(7919, 90_000)} + n * 10) / 100.0,
            CASE WHEN n % 2 = 0 THEN 'season' END
       FROM generate_series(1, ${size.products}) i, generate_series(1, 4) n`,
    `INSERT INTO stock.warehouse (code, city, location, network, opens)
     VALUES ('BER1', 'Berlin', '(52.52,13.405)', '10.1.0.0/16', '06:00+01'), ('LYS1', 'Lyon', '(45.764,4.8357)', '10.2.0.0/16', '06:30+01'),
            ('MUC2', 'München', '(48.1351,11.582)', NULL, '05:00+01'), ('WAW1', 'Warszawa', '(52.2297,21.0122)', 'fd00::/64', NULL)`,
    `INSERT INTO stock.level (warehouse_code, product_id, quantity, counted_at)
     SELECT w.code, i, 100 + ${p(41, 900)}, timestamp '2025-01-01' + i * interval '1 minute'
       FROM generate_series(1, ${size.products}) i, stock.warehouse w`,
  ];
}

function salesRows(size: ShopSize): string[] {
  const p = (prime: number, n: number) => pick('i', prime, n);
  const shipped = Math.floor(size.orders / 3);
  const firstOrder = 100_000;
  return [
    `INSERT INTO sales.customer (email, full_name, born, phones, home, preferences, credit_limit, created_at)
     SELECT 'Customer' || i || '@example.com', 'Nâme ' || i || ' O''Neil', date '1940-01-01' + (${p(7919, 24_000)})::int,
            CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' ELSE ARRAY['+49 30 ' || i, NULL] END,
            CASE WHEN i % 5 > 0 THEN ROW('Street ' || i, lpad((i % 99999)::text, 5, '0'), 'City, "' || i % 300 || '"', 'DE')::sales.address END,
            CASE WHEN i % 3 > 0 THEN jsonb_build_object('newsletter', i % 2 = 0, 'sizes', jsonb_build_array(i % 40, null)) END,
            CASE i % 1000 WHEN 0 THEN 'NaN' ELSE ${p(577, 500_000)} / 100.0 END, timestamptz '2020-01-01' + i * interval '31 minutes'
       FROM generate_series(1, ${size.customers}) i`,
    `INSERT INTO sales.coupon (code, percent, partner, lasts)
     SELECT CASE WHEN i % 2 = 0 THEN 'PARTNER-' ELSE 'SHOP-' END || i, 5 + i % 40, i % 2 = 0, i % 60 * interval '1 day 2 hours'
       FROM generate_series(1, ${size.coupons}) i`,
    `INSERT INTO sales.orders (customer_id, status, coupon_code, total, ship_to, note, placed_at)
     SELECT 1 + ${p(7919, size.customers)}, (ARRAY['new','paid','shipped','delivered','delivered','returned'])[1 + i % 6]::sales.order_status,
            CASE WHEN i % 10 = 0 THEN (SELECT CASE WHEN c % 2 = 0 THEN 'PARTNER-' ELSE 'SHOP-' END || c FROM (SELECT 1 + ${p(31, size.coupons)} AS c) k) END,
            ${p(7717, 90_000)} / 100.0, CASE WHEN i % 8 = 0 THEN ROW('Depot ' || i, NULL, 'Wien', 'AT')::sales.address END,
            CASE WHEN i % 20 = 0 THEN E'Ring twice,\\nthen\\twait \\\\o/' END, timestamptz '2023-01-01' + i * (interval '1090 days' / ${size.orders})
       FROM generate_series(1, ${size.orders}) i`,
    `INSERT INTO sales.order_item (order_id, line, product_id, quantity, unit_price)
     SELECT ${firstOrder} + i, n, 1 + ${pick('(i * 3 + n)', 7919, size.products)}, 1 + (i + n) % 4, ${pick('(i + n)', 7877, 90_000)} / 100.0
       FROM generate_series(1, ${size.orders}) i, generate_series(1, 3) n`,
    `INSERT INTO sales.payment (id, order_id, amount, method, paid_on)
     SELECT md5(i::text)::uuid, ${firstOrder} + i, ${p(7717, 90_000)} / 100.0, (ARRAY['card','transfer','cash'])[1 + i % 3],
            date '2023-01-01' + (i::int8 * 1100 / ${size.orders})::int
       FROM generate_series(1, ${size.orders}) i WHERE i % 6 > 0`,
    `INSERT INTO sales.shipment (order_id, warehouse_code, tracking, carrier_flags, window_of_delivery)
     SELECT ${firstOrder} + i * 3, (ARRAY['BER1','LYS1','MUC2','WAW1'])[1 + i % 4], upper(substr(md5(i::text), 1, 18)), (i % 256)::bit(8),
            CASE WHEN i % 5 > 0 THEN tstzrange(timestamptz '2023-01-02' + i * interval '9 minutes', NULL) END
       FROM generate_series(1, ${shipped}) i`,
    `INSERT INTO sales.review (product_id, customer_id, rating, body, written_at)
     SELECT 1 + i % ${size.products}, 1 + i, 1 + i % 5, CASE WHEN i % 3 > 0 THEN repeat('nice ', i % 30) END, timestamptz '2024-01-01' + i * interval '11 minutes'
       FROM generate_series(0, ${Math.floor(size.customers / 3) - 1}) i`,
    `INSERT INTO web.session (token, customer_id, address, data, expires_at)
     SELECT md5('session' || i)::uuid, CASE WHEN i % 3 > 0 THEN i END, ('10.' || i % 250 || '.' || i % 199 || '.7')::inet,
            ('{"cart":[' || i || ' , 2],"lang" : "en"}')::json, timestamptz '2025-12-01' + i * interval '1 second'
       FROM generate_series(1, ${Math.floor(size.customers / 3)}) i`,
    `INSERT INTO web.event (customer_id, kind, payload, seconds, at)
     SELECT 1 + ${p(7919, size.customers)}, (ARRAY['login','search','add to cart','checkout','logout'])[1 + i % 5]::web.event_kind,
            CASE WHEN i % 4 > 0 THEN jsonb_build_object('page', i % 700, 'agent', 'Mozilla/5.0 (X11; rv:' || i % 90 || ')') END,
            ${p(3571, 10_000)} / 300.0::float4, timestamptz '2025-01-01' + i * interval '40 seconds'
       FROM generate_series(1, ${size.events}) i`,
    `INSERT INTO web.page_view (url, referrer, viewport, on_day)
     SELECT '/product/' || ${p(7919, 200)}, CASE WHEN i % 3 = 0 THEN 'https://search.example/' END, ARRAY[1280, 720 + i % 2], date '2025-11-01' + i % 10
       FROM generate_series(1, ${size.pageViews}) i`,
  ];
}
