import { describe, expect, it } from 'vitest';
import { FAILPOINTS, type FailpointName } from '../src/base/runtime/failpoint.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
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
  DELETE FROM booking WHERE id % 11 = 0;
  INSERT INTO booking (account_id, amount) SELECT i, 1 FROM generate_series(1, 200) i;
  DELETE FROM visit WHERE ctid IN (SELECT ctid FROM visit WHERE page = 'page 1' LIMIT 20)`;

/** Which pass to die at: where there are several, some work is done before and some is left. */
const PASS: Readonly<Record<FailpointName, number>> = {
  'copy.before-unit-commit': 1,
  'copy.after-unit-commit': 1,
  'apply.between-apply-and-progress': 2,
  'apply.between-commit-and-ack': 2,
  'schema.during-index-build': 2,
  'slot.after-create': 1,
};

function run(home: CliHome, ends: { source: TestDatabase; target: TestDatabase }, failpoint?: string) {
  const args = ['migrate', '--source', ends.source.uri, '--target', ends.target.uri, '--until', 'caught-up'];
  return home.run(args, { env: failpoint ? { OPENDTS_FAILPOINT: failpoint } : {} });
}

/** Several transactions, so that several windows are applied. */
async function change(source: TestDatabase): Promise<void> {
  for (const statement of CHANGES.split(';')) await source.session.query(statement);
}

describe.each(FAILPOINTS)('kill -9 at %s', (failpoint) => {
  it('leaves nothing that running again does not put right: identical content, no duplicate in the table without a key', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    using home = cliHome();
    await source.session.query(SCHEMA);
    if (failpoint.startsWith('apply.')) {
      expect((await run(home, { source, target })).code).toBe(0);
      await change(source);
    }
    const died = await run(home, { source, target }, `${failpoint}:${PASS[failpoint]}`);
    expect(died.signal).toBe('SIGKILL');
    await change(source);
    const finished = await run(home, { source, target });
    expect(finished.stderr).not.toContain('level=error');
    expect(finished.code).toBe(0);
    const { verdicts, differing } = await compare(source, target);
    expect(differing).toEqual([]);
    expect(verdicts).toHaveLength(3);
  });
});
