import { describe, expect, it } from 'vitest';
import { FAILPOINTS, type FailpointName } from '../src/base/runtime/failpoint.ts';
import { EXIT } from '../src/base/errors/exit.ts';
import { backendsOf, openBooks, stateOf, stopped, type Books } from './apply-faults.ts';
import { freshPair, type TestDatabase } from './database.ts';
import { pause } from './follow.ts';
import { compare } from './migration.ts';
import { cliHome, type CliHome } from './spawn-cli.ts';

/** `visit` has no key and repeated rows: what is applied twice or lost shows in its count. */
const SCHEMA = `
  CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL);
  CREATE TABLE booking (id bigserial PRIMARY KEY, account_id int NOT NULL REFERENCES account, amount numeric(12,2), note text);
  CREATE TABLE visit (page text, at date);
  CREATE INDEX booking_account ON booking (account_id);
  INSERT INTO account SELECT i, 'owner ' || i, i FROM generate_series(1, 2000) i;
  INSERT INTO booking (account_id, amount, note) SELECT 1 + i % 2000, i, repeat('n', i % 100) FROM generate_series(1, 10000) i;
  INSERT INTO visit SELECT 'page ' || i % 7, date '2024-01-01' + i % 3 FROM generate_series(1, 5000) i`;

const CHANGES = `
  INSERT INTO visit SELECT 'page ' || i % 7, date '2024-01-01' + i % 3 FROM generate_series(1, 100) i;
  UPDATE account SET balance = balance + 1 WHERE id % 3 = 0;
  WITH b AS (INSERT INTO booking (account_id, note) SELECT i, repeat('l', 60) FROM generate_series(1, 1000) i)
    INSERT INTO visit SELECT 'page ' || i % 7, date '2024-02-01' + i % 3 FROM generate_series(1, 3000) i;
  DELETE FROM booking WHERE id % 11 = 0;
  INSERT INTO booking (account_id, amount) SELECT i, 1 FROM generate_series(1, 200) i;
  DELETE FROM visit WHERE ctid IN (SELECT ctid FROM visit WHERE page = 'page 1' LIMIT 20)`;

/** Without those that changes of columns pass (ddl-apply.pg.test.ts), and partitions that join a plain table (plain-stream.pg.test.ts). */
type WithoutDdl = Exclude<FailpointName, `ddl.${string}` | `join.${string}`>;
const WITHOUT_DDL = FAILPOINTS.filter((name): name is WithoutDdl => !/^(ddl|join)\./.test(name));

/** Which pass to die at: where there are several, some work is done before and some is left. */
const PASS: Readonly<Record<WithoutDdl, number>> = {
  'copy.before-unit-commit': 1,
  'copy.after-unit-commit': 1,
  'apply.between-apply-and-progress': 2,
  'apply.between-lanes': 1,
  'apply.between-commit-and-ack': 2,
  'schema.during-index-build': 2,
  'schema.between-steps': 2,
  'slot.after-create': 1,
};

interface Pair {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

const args = ({ source, target }: Pair) => ['migrate', '--source', source.uri, '--target', target.uri];
const catchUp = (pair: Pair) => [...args(pair), '--until', 'caught-up'];
const at = (failpoint: WithoutDdl, how: string) => ({
  env: { OPENDTS_FAILPOINT: `${failpoint}:${PASS[failpoint]}:${how}` },
});

/** Several transactions, so that several windows are applied. */
async function change(source: TestDatabase): Promise<void> {
  for (const statement of CHANGES.split(';')) {
    await source.session.query(statement);
    await pause(20);
  }
}

/** A source with rows and, where the failpoint is in the stream, a migration that has caught up. */
async function prepare(pair: Pair, failpoint: WithoutDdl, home: CliHome): Promise<Books | null> {
  await pair.source.session.query(SCHEMA);
  if (!failpoint.startsWith('apply.')) return null;
  expect((await home.run(catchUp(pair))).code).toBe(0);
  return openBooks(pair);
}

/** Runs into the failpoint; where that is in the stream, with changes that come as it runs. */
async function meet(pair: Pair, failpoint: WithoutDdl, { home, how }: { home: CliHome; how: string }) {
  const running = home.start(args(pair), at(failpoint, how));
  if (failpoint.startsWith('apply.')) {
    while (!running.output().stderr.includes('phase=stream') && running.child.exitCode === null)
      await pause(20);
    await change(pair.source);
  }
  return running;
}

async function expectIdentical(pair: Pair): Promise<void> {
  const { verdicts, differing } = await compare(pair.source, pair.target);
  expect(differing).toEqual([]);
  expect(verdicts).toHaveLength(3);
  expect(await backendsOf(pair)).toEqual([]);
}

describe.each(WITHOUT_DDL)('kill -9 at %s', (failpoint) => {
  it('leaves nothing that running again does not put right: identical content, no duplicate in the table without a key, exact accounts', async () => {
    await using pair = await freshPair(17, 17);
    using home = cliHome();
    await using books = await prepare(pair, failpoint, home);
    const died = await meet(pair, failpoint, { home, how: 'kill' });
    expect((await died.finished).signal).toBe('SIGKILL');
    await change(pair.source);
    const finished = await home.run(catchUp(pair));
    expect(finished.stderr).not.toContain('level=error');
    expect(finished.code).toBe(0);
    await expectIdentical(pair);
    expect(await books?.differences()).toEqual(books ? [] : undefined);
  });
});

describe.each(WITHOUT_DDL)('an owner that stands still at %s', (failpoint) => {
  it('while another takes over and goes on ends by itself when it is woken, and changes nothing', async () => {
    await using pair = await freshPair(18, 17);
    using home = cliHome();
    using elsewhere = cliHome();
    await using books = await prepare(pair, failpoint, home);
    const former = await meet(pair, failpoint, { home, how: 'freeze' });
    await stopped(former);
    await change(pair.source);
    const next = await elsewhere.run(catchUp(pair));
    expect(next.stderr).not.toContain('level=error');
    expect(next.code).toBe(0);
    const before = await stateOf(pair);
    former.child.kill('SIGCONT');
    const end = await former.finished;
    expect(end.stderr).toContain('Another opendts took this migration over');
    expect(end.code).toBe(EXIT.unexpected);
    expect(await stateOf(pair)).toEqual(before);
    await expectIdentical(pair);
    expect(await books?.differences()).toEqual(books ? [] : undefined);
  });
});
