/** Tasks that begin and end at the same source at the same moment. */
import { expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import type { FormerIdentity } from './handed-over.ts';
import { readHelpers } from './helpers/remove.ts';
import { prepareSource, releaseSource } from './prepare.ts';

it('one that ends leaves another, which begins at that moment, with all that it needs, and the last takes it all away', async () => {
  await using db = await freshDatabase(17);
  await db.session.query('CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (1)');
  const task = (name: string) => ({
    names: { slot: `dts_sync_${name}_${db.name}`, publication: `dts_sync_${name}` },
    remembered: new Map<number, FormerIdentity>(),
  });
  const [first, second] = [task('a'), task('b')];
  await using one = await db.open();
  await using two = await db.open();
  const begin = async (
    { names, remembered }: typeof first,
    session: typeof one,
    tables = readTables(session),
  ) =>
    prepareSource(session, {
      names,
      through: 'ours',
      tables: await tables,
      identities: { policy: 'needed', needsWholeRow: () => false },
      helpers: { heartbeat: true, captureDdl: true },
      remember: async (former) => void (remembered.has(former.oid) || remembered.set(former.oid, former)),
      signal: new AbortController().signal,
    });
  const end = async ({ names, remembered }: typeof first, session: typeof one) => {
    await releaseSource(session, names, [...remembered.values()]);
    remembered.clear();
  };
  for (let round = 0; round < 12; round++) {
    await begin(first, one);
    // Read while the first has set FULL.
    const tables = Promise.resolve(await readTables(two));
    const ending = end(first, one);
    await new Promise((resolve) => setTimeout(resolve, round * 3));
    await Promise.all([ending, begin(second, two, tables)]);
    await db.session.query('UPDATE keyless SET a = a + 1');
    expect(await readHelpers(db.session)).toHaveLength(5);
    await end(second, two);
    expect(await readHelpers(db.session)).toEqual([]);
    const { identity } = await db.session.one(
      "SELECT relreplident AS identity FROM pg_class WHERE relname = 'keyless'",
    );
    expect(identity).toBe('d');
  }
});
