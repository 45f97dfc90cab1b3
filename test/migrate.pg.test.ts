import { describe, expect, it } from 'vitest';
import { freshDatabase } from './database.ts';
import { compare, migrate } from './migration.ts';

const SHOP = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL, mood mood, tags text[], extra jsonb, born date);
  CREATE TABLE purchase (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, amount numeric(12,2), note text,
                         twice numeric GENERATED ALWAYS AS (amount * 2) STORED, at timestamptz DEFAULT now());
  CREATE TABLE visit (page text, hits int);
  CREATE INDEX ON purchase (customer_id);
  CREATE VIEW rich AS SELECT c.id, c.name, sum(p.amount) AS total FROM customer c JOIN purchase p ON p.customer_id = c.id GROUP BY c.id;
  INSERT INTO customer (name, mood, tags, extra, born) SELECT 'c' || i, (ARRAY['sad','ok','happy']::mood[])[1 + i % 3], ARRAY['a,"b"', NULL, 'x' || i], jsonb_build_object('i', i), date '2000-01-01' + i FROM generate_series(1, 5000) i;
  INSERT INTO purchase (customer_id, amount, note) SELECT 1 + i % 5000, i / 100.0, repeat(md5(i::text), i % 50) FROM generate_series(1, 20000) i;
  INSERT INTO visit SELECT 'p' || i % 10, i % 3 FROM generate_series(1, 3000) i`;

const CHANGES = [
  `BEGIN; INSERT INTO customer (name, mood) VALUES ('new', 'ok'); UPDATE customer SET mood = 'sad' WHERE id % 10 = 0; DELETE FROM purchase WHERE id % 100 = 0; COMMIT`,
  `UPDATE purchase SET note = NULL, amount = amount + 1 WHERE id % 7 = 0`,
  `UPDATE customer SET id = id + 1000000 WHERE id = 5001`,
  `DELETE FROM visit WHERE ctid IN (SELECT ctid FROM visit WHERE page = 'p1' LIMIT 3); INSERT INTO visit SELECT 'p1', 0 FROM generate_series(1, 5); UPDATE visit SET hits = hits + 1 WHERE page = 'p2'`,
];

describe.each([
  [12, 18],
  [15, 15],
  [17, 18],
  [18, 15],
] as const)('a migration from %i to %i', (from, to) => {
  it('carries schema, rows and later changes over, and a second run goes on where the first stopped', async () => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    await source.session.query(SHOP);
    const first = await migrate(source, target);
    expect(first.outcome).toBe('caught-up');
    expect(first.final).toBe(false);
    expect(first.rowsCopied).toBe(28_000n);
    expect((await compare(source, target)).differing).toEqual([]);

    for (const change of CHANGES) await source.session.query(change);
    const second = await migrate(source, target);
    expect(second.changesApplied).toBeGreaterThan(3_000n);
    const { verdicts, differing } = await compare(source, target);
    expect(differing).toEqual([]);
    expect(verdicts).toHaveLength(3);
    // The sequence continues where the source's would.
    const next = await target.session.one(`SELECT nextval('customer_id_seq')::text AS id`);
    expect(next.id).toBe('5002');
    const view = await target.session.one('SELECT count(*)::text AS n FROM rich');
    expect(Number(view.n)).toBeGreaterThan(4_000);
  });
});

it('a full migration that dies before its sequences are set is not complete: the next run sets them', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(18);
  await source.session.query(SHOP);
  const types = ['schema', 'full'] as const;
  const dies = (event: { message: string }) => {
    if (event.message === 'setting sequences') throw new Error('killed here');
  };
  await expect(migrate(source, target, { types, onEvent: dies })).rejects.toThrow('killed here');
  const { outcome } = await migrate(source, target, { types });
  expect(outcome).toBe('completed');
  expect(await target.session.one(`SELECT nextval('customer_id_seq')::text AS id`)).toEqual({ id: '5001' });
});
