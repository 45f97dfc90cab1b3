/** Dead letters of a process that is killed in the middle: each is written once (P9, P11). */
import { expect, it } from 'vitest';
import { keep, openExact, REFUSES, TABLES, told } from './dead-letters.ts';
import { freshPair } from './database.ts';
import { compare, migrate } from './migration.ts';
import { cliHome } from './spawn-cli.ts';

it.each(['apply.between-apply-and-progress:3', 'apply.between-commit-and-ack:3'])(
  'writes each letter once, whatever happens: kill -9 at %s',
  async (failpoint) => {
    await using pair = await freshPair(17, 17, TABLES);
    const { source, target } = pair;
    using home = cliHome();
    await migrate(source, target);
    await target.session.query(REFUSES);
    await keep(pair, 'a', 'c');
    await using exact = await openExact(pair);
    for (let turn = 0; turn < 6; turn++)
      await source.session.query(
        `BEGIN; INSERT INTO c VALUES (5), (500), (6); UPDATE a SET n = 9000 WHERE id = ${turn + 1}; UPDATE b SET v = v || '${turn}'; DELETE FROM c WHERE n = 5; COMMIT`,
      );
    const args = ['migrate', '--source', source.uri, '--target', target.uri, '--until', 'caught-up'];
    const died = await home.run(args, { env: { OPENDTS_FAILPOINT: `${failpoint}:kill` } });
    expect(died.signal).toBe('SIGKILL');
    expect((await home.run(args)).code).toBe(6);
    expect(await told(pair)).toEqual(
      Array.from({ length: 6 }, (_, turn) => ['insert  23514', `update ${turn + 1} 23514`]).flat(),
    );
    expect(await exact.differences()).toEqual([]);
    expect(await exact.dead()).toEqual(['public.a 6', 'public.c 6']);
    expect((await compare(source, target)).differing.map(({ table }) => table)).toEqual([
      'public.a',
      'public.c',
    ]);
  },
);
