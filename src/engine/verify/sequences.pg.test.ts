import { expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { compareSequences } from './sequences.ts';

const SEQUENCES = `CREATE SEQUENCE called; CREATE SEQUENCE "un ""called"; CREATE SEQUENCE down INCREMENT -1; CREATE SEQUENCE ahead;
  CREATE SEQUENCE ended START 9223372036854775807; CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY);`;

async function compare(sourceSql: string, targetSql: string) {
  await using source = await freshDatabase(12);
  await using target = await freshDatabase(18);
  await source.session.query(sourceSql);
  await target.session.query(targetSql);
  await using from = await source.open();
  await using to = await target.open();
  return await compareSequences(from, to);
}

it('sequences at the same place or ahead are not behind', async () => {
  const used = "SELECT nextval('called'), nextval('down'), nextval('ended');";
  expect(
    await compare(
      SEQUENCES + used,
      `${SEQUENCES}${used} SELECT setval('ahead', 50); INSERT INTO t DEFAULT VALUES`,
    ),
  ).toEqual({ count: 6, behind: [] });
});

it('names the sequences that would give out a number again, and the missing ones', async () => {
  const compared = await compare(
    `${SEQUENCES} CREATE SEQUENCE missing; INSERT INTO t DEFAULT VALUES;
     SELECT nextval('called'), nextval('called'), nextval('down'), nextval('"un ""called"')`,
    `${SEQUENCES} SELECT nextval('called')`,
  );
  expect(compared).toEqual({
    count: 7,
    behind: ['public.called', 'public.down', 'public.missing', 'public.t_id_seq', 'public.un "called'],
  });
});

it('a database without sequences has nothing to compare', async () => {
  expect(await compare('SELECT 1', 'SELECT 1')).toEqual({ count: 0, behind: [] });
});
