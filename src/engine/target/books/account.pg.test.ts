/** The stored account on a real server: each number in its own column, added to what is there. */
import { expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/database.ts';
import { Pipeline } from '../../pg/wire/pipeline.ts';
import { accountStatement, emptyAccount, type Account } from './account.ts';
import { ensureBookkeeping } from './bookkeeping.ts';

/** Balanced, and no two numbers alike. */
const account = (times: number): Account => ({
  received: 63 * times,
  applied: 1 * times,
  folded: 2 * times,
  filtered: 4 * times,
  invisible: 8 * times,
  repeated: 16 * times,
  dead: 32 * times,
  inserts: 100 * times,
  updates: 200 * times,
  deletes: 300 * times,
});

it('of several tables is stored, and added to', async () => {
  await using db = await freshDatabase(17);
  await ensureBookkeeping(db.session);
  const pipeline = new Pipeline(await db.open());
  const tables = ['public."a,b"', 'public.{"}'];
  for (const times of [1, 10]) {
    const accounts = new Map(tables.map((table, at) => [table, account(times * (at + 1))]));
    await pipeline.run([accountStatement('t', accounts)!]);
  }
  const names = Object.keys(emptyAccount());
  const rows = await db.session.query(
    `SELECT source_table, ${names.join(', ')} FROM _opendts.account WHERE task_id = 't' ORDER BY received`,
  );
  const stored = (table: string, times: number) => ({
    source_table: table,
    ...Object.fromEntries(Object.entries(account(times)).map(([name, value]) => [name, String(value)])),
  });
  expect(rows).toEqual([stored(tables[0]!, 11), stored(tables[1]!, 22)]);
});
