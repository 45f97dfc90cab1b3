/** Server versions the test machine does not have, judged by their numbers. */
import { expect, it } from 'vitest';
import type { MigrationType } from '../../contract/task-spec.ts';
import { judgeVersions } from './checks/versions.ts';

const all = new Set<MigrationType>(['schema', 'full', 'incremental']);
const offline = new Set<MigrationType>(['schema', 'full']);

it.each([
  [150_018, 180_004, all, 'passed', ''],
  [100_000, 180_004, all, 'passed', ''],
  [90_624, 180_004, all, 'failed', 'needs PostgreSQL 10'],
  [90_624, 180_004, offline, 'alert', 'before PostgreSQL 10'],
  [150_018, 90_624, offline, 'alert', 'before PostgreSQL 10'],
  [190_000, 190_000, all, 'alert', 'after PostgreSQL 18'],
  [170_010, 150_018, all, 'alert', 'older than the source'],
  [150_018, 150_003, all, 'passed', ''],
])('source %i and target %i are judged', (...row) => {
  const [source, target, types, result, what] = row;
  const found = judgeVersions(source, target, types);
  expect([found.result, found.what]).toEqual([result, expect.stringContaining(what)]);
});

it('shows versions as people write them and offers the offline way', () => {
  const found = judgeVersions(90_624, 180_004, all);
  expect(found.evidence).toBe('source 9.6, target 18.4');
  expect(found.fix).toContain('--types schema,full');
});
