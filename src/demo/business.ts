/**
 * What happens in a shop: every kind of transaction of the write load. Each kind is a different shape of change for a migration to
 * follow; together they are all a change stream can bring.
 */
import type { Row } from '../engine/pg/session.ts';

/** How many rows there are to choose from when the load starts. */
export interface ShopRange {
  readonly products: number;
  readonly customers: number;
  readonly lastOrder: number;
}

/** One client's view: its session, counted, and what it may choose from. */
export interface Client {
  /** Runs and counts one statement. */
  readonly run: (sql: string, values?: readonly (string | null)[]) => Promise<Row[]>;
  readonly range: ShopRange;
}

/** Thrown by a business to undo its own transaction, as an application does on second thoughts. */
export class SecondThoughts extends Error {}

export interface Business {
  /** How often, in relation to the others. */
  readonly weight: number;
  /** Runs inside a transaction that the caller begins and ends. */
  readonly work: (client: Client) => Promise<void>;
}

/** The order numbers of the seeded shop begin after this. */
const FIRST_ORDER = 100_000;

const upTo = (n: number): number => 1 + Math.floor(Math.random() * n);
const day = (): string => new Date(Date.UTC(2023, 0, upTo(1500))).toISOString().slice(0, 10);
const WAREHOUSES = ['BER1', 'LYS1', 'MUC2', 'WAW1'] as const;
const warehouse = (): string => WAREHOUSES[upTo(4) - 1] ?? WAREHOUSES[0];

/** An order with one to five lines, its stock and an event. Lines in the order of products, so that two orders cannot deadlock. */
async function placeOrder({ run, range }: Client): Promise<void> {
  const [order] = await run(
    `INSERT INTO sales.orders (customer_id, coupon_code, ship_to)
     VALUES ($1, (SELECT code FROM sales.coupon WHERE NOT partner ORDER BY code LIMIT 1), ROW('New street 1', '10115', 'Berlin', 'DE'))
     RETURNING id::text AS id`,
    [String(upTo(range.customers))],
  );
  const id = order?.id ?? null;
  const from = warehouse();
  const products = new Set(Array.from({ length: upTo(5) }, () => upTo(range.products)));
  let line = 0;
  for (const product of [...products].toSorted((a, b) => a - b)) {
    const quantity = String(upTo(4));
    await run(
      `INSERT INTO sales.order_item (order_id, line, product_id, quantity, unit_price)
       SELECT $1::int8, $2::int2, p.id, $4::int4, p.price FROM catalog.product p WHERE p.id = $3::int4`,
      [id, String(++line), String(product), quantity],
    );
    await run(
      `UPDATE stock.level SET quantity = CASE WHEN quantity >= $3::int4 THEN quantity - $3::int4 ELSE quantity + 500 END
        WHERE warehouse_code = $1 AND product_id = $2`,
      [from, String(product), quantity],
    );
  }
  await run(
    'UPDATE sales.orders o SET total = (SELECT sum(i.amount) FROM sales.order_item i WHERE i.order_id = o.id) WHERE o.id = $1',
    [id],
  );
  await run(
    `INSERT INTO web.event (customer_id, kind, payload) VALUES ($1, 'checkout', jsonb_build_object('order', $2::int8))`,
    [String(upTo(range.customers)), id],
  );
}

/** The first open order from a random place on, locked; undefined when there is none. */
async function openOrder({ run, range }: Client): Promise<Row | undefined> {
  const [order] = await run(
    `SELECT id::text AS id, total FROM sales.orders WHERE id >= $1 AND status = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`,
    [String(FIRST_ORDER + upTo(range.lastOrder - FIRST_ORDER))],
  );
  return order;
}

export const BUSINESSES = {
  placeOrder: { weight: 20, work: placeOrder },

  /** Payments go to every partition. */
  payOrder: {
    weight: 12,
    work: async (client) => {
      const order = await openOrder(client);
      if (!order) return;
      await client.run(`UPDATE sales.orders SET status = 'paid' WHERE id = $1`, [order.id ?? null]);
      await client.run(
        `INSERT INTO sales.payment (id, order_id, amount, method, paid_on)
         VALUES (md5(random()::text || clock_timestamp())::uuid, $1, $2, 'card', $3)`,
        [order.id ?? null, order.total ?? null, day()],
      );
    },
  },

  /** An update that usually moves the row to another partition: a delete and an insert in the change stream. */
  correctPaymentDay: {
    weight: 4,
    work: async ({ run }) => {
      await run(
        `UPDATE sales.payment SET paid_on = $1 WHERE (id, paid_on) IN (
           SELECT id, paid_on FROM sales.payment WHERE id >= md5(random()::text)::uuid ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)`,
        [day()],
      );
    },
  },

  /** A delete with everything that depends on it. */
  cancelOrder: {
    weight: 4,
    work: async (client) => {
      const order = await openOrder(client);
      if (order) await client.run('DELETE FROM sales.orders WHERE id = $1', [order.id ?? null]);
    },
  },

  changePrice: {
    weight: 12,
    work: async ({ run, range }) => {
      await run('UPDATE catalog.product SET price = round(price * 1.01 + 0.01, 2) % 100000 WHERE id = $1', [
        String(upTo(range.products)),
      ]);
    },
  },

  /** The big column is not touched: the change stream says "unchanged" instead of its value. */
  proofreadText: {
    weight: 10,
    work: async ({ run, range }) => {
      await run('UPDATE catalog.product_text SET revision = revision + 1 WHERE product_id = $1', [
        String(upTo(range.products)),
      ]);
    },
  },

  rewriteText: {
    weight: 1,
    work: async ({ run, range }) => {
      await run(
        `UPDATE catalog.product_text SET description = 'New! ' || left(description, 30000), revision = revision + 1 WHERE product_id = $1`,
        [String(upTo(range.products))],
      );
    },
  },

  /** A new primary key, with the foreign keys that follow it. Orders never take a partner's coupon, so this cannot break one. */
  renameCoupon: {
    weight: 3,
    work: async ({ run }) => {
      await run(
        `UPDATE sales.coupon SET code = 'PARTNER-' || substr(md5(random()::text), 1, 12)
          WHERE code = (SELECT code FROM sales.coupon WHERE partner AND code >= 'PARTNER-' || substr(md5(random()::text), 1, 2)
                         ORDER BY code LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      );
    },
  },

  editCustomer: {
    weight: 10,
    work: async ({ run, range }) => {
      await run(
        `UPDATE sales.customer SET preferences = coalesce(preferences, '{}') || jsonb_build_object('seen', clock_timestamp()),
                phones = CASE WHEN random() < 0.3 THEN NULL ELSE ARRAY['+49 ' || md5(random()::text), NULL, ''] END,
                home = ROW('Moved, "again"', NULL, '', 'FR')
          WHERE id = $1`,
        [String(upTo(range.customers))],
      );
    },
  },

  /** Equal rows in a table without a key. */
  viewPage: {
    weight: 10,
    work: async ({ run }) => {
      await run(
        `INSERT INTO web.page_view (url, referrer, viewport, on_day) SELECT '/product/' || $1::int4, NULL, '{1280,720}', '2025-11-20'
           FROM generate_series(1, $2::int4)`,
        [String(upTo(50)), String(upTo(3))],
      );
    },
  },

  /** One of several equal rows goes, the others stay. */
  forgetView: {
    weight: 2,
    work: async ({ run }) => {
      await run(
        'DELETE FROM web.page_view WHERE ctid = (SELECT ctid FROM web.page_view WHERE url = $1 LIMIT 1 FOR UPDATE SKIP LOCKED)',
        [`/product/${upTo(50)}`],
      );
    },
  },

  visit: {
    weight: 8,
    work: async ({ run, range }) => {
      await run(
        `INSERT INTO web.session (token, customer_id, address, data, expires_at)
         VALUES (md5('session' || $1::int4)::uuid, $1::int4, '10.9.8.7', '{"cart": []}', now() + interval '1 hour')
         ON CONFLICT (token) DO UPDATE SET data = EXCLUDED.data, expires_at = EXCLUDED.expires_at`,
        [String(upTo(range.customers))],
      );
      await run(
        `DELETE FROM web.session WHERE token IN (
           SELECT token FROM web.session WHERE token >= md5(random()::text)::uuid ORDER BY token LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      );
    },
  },

  /** Twenty rows in one statement, in a fixed order. */
  countStock: {
    weight: 1,
    work: async ({ run, range }) => {
      await run(
        `UPDATE stock.level SET counted_at = localtimestamp, quantity = quantity + 1 WHERE (warehouse_code, product_id) IN (
           SELECT warehouse_code, product_id FROM stock.level WHERE warehouse_code = $1 AND product_id BETWEEN $2::int4 AND $2::int4 + 19
            ORDER BY product_id FOR UPDATE SKIP LOCKED)`,
        [warehouse(), String(upTo(range.products))],
      );
    },
  },

  /** Part of the transaction is taken back. */
  review: {
    weight: 3,
    work: async ({ run, range }) => {
      const key = [String(upTo(range.products)), String(upTo(range.customers))];
      const insert = `INSERT INTO sales.review (product_id, customer_id, rating, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`;
      await run('SAVEPOINT draft');
      await run(insert, [...key, '1', 'a draft that nobody must ever see']);
      await run('UPDATE catalog.product SET active = false WHERE id = $1', [key[0] ?? null]);
      await run('ROLLBACK TO SAVEPOINT draft');
      await run(insert, [...key, String(upTo(5)), 'fine']);
      await run('RELEASE SAVEPOINT draft');
    },
  },

  /** All of it is taken back. */
  abandonOrder: {
    weight: 4,
    work: async (client) => {
      await placeOrder(client);
      throw new SecondThoughts();
    },
  },
} as const satisfies Record<string, Business>;

export type BusinessName = keyof typeof BUSINESSES;
