/** Rules of tables on the command line and in the task file: they are part of what a migration is, and go where its next steps go. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freshPair } from './database.ts';
import { cliHome } from './spawn-cli.ts';

const home = cliHome();
afterAll(() => home[Symbol.dispose]());

const TABLES = `
  CREATE SCHEMA sales;
  CREATE TABLE sales.orders (id int PRIMARY KEY, region text);
  INSERT INTO sales.orders SELECT i, CASE WHEN i % 4 = 0 THEN 'EU' ELSE 'US' END FROM generate_series(1, 4000) i;
  CREATE TABLE sales.log (id int PRIMARY KEY); INSERT INTO sales.log VALUES (1);
  ANALYZE`;

describe('rules of tables', () => {
  it('are the same task in a file and as options, count in the estimate, and are repeated in the next steps', async () => {
    await using pair = await freshPair(15, 18, TABLES);
    const { source, target } = pair;
    const ends = ['--source', source.uri, '--target', target.uri];
    const file = join(home.folder, 'task.yaml');
    writeFileSync(
      file,
      `apiVersion: opendts/v1
kind: Task
spec:
  types: [full, schema]
  rules:
    - tables: sales.*
      filter: "id > 0"
    - tables: sales.orders
      operations: [update, insert]
      filter: "region = 'EU'"
`,
    );
    const checked = await home.run(['check', ...ends, '--task', file, '--json']);
    expect(checked.code).toBe(0);
    const { data } = JSON.parse(checked.stdout) as {
      data: { estimate: { rows: string }; findings: { check: string }[] };
    };
    expect(data.estimate.rows).toBe('1001');
    expect(data.findings).toContainEqual(expect.objectContaining({ check: 'filters', result: 'passed' }));

    const migrated = await home.run(['migrate', ...ends, '--task', file]);
    expect(migrated.stderr).not.toContain('level=error');
    expect(migrated.code).toBe(0);
    expect(migrated.stdout).toContain('1,001 rows');
    const options = [
      '--filter',
      'sales.*=id > 0',
      "sales.orders=region = 'EU'",
      '--table-operations',
      'sales.orders=insert,update',
    ];
    expect(migrated.stdout).toContain("--filter 'sales.*=id > 0' 'sales.orders=region = '\\''EU'\\'''");

    const again = await home.run(['migrate', ...ends, '--types', 'schema,full', ...options]);
    expect(again.stderr).toContain('this migration is complete');
    const verified = await home.run(['verify', ...ends, '--task', file]);
    expect(verified.stdout).toContain('identical: 2 tables, 1,001 rows');
    expect(verified.code).toBe(0);
    // Without the filter, or with a row too many on the target, they differ.
    expect((await home.run(['verify', ...ends])).code).toBe(6);
    await target.session.query("INSERT INTO sales.orders VALUES (5, 'US')");
    expect((await home.run(['verify', ...ends, '--task', file])).code).toBe(6);
    const refused = await home.run(['verify', ...ends, '--filter', 'log=idd > 0']);
    expect(refused.stderr).toContain('The filter of sales.log cannot be used: column "idd" does not exist.');
    expect(refused.code).toBe(4);
  });
});
