/** Texts are made once, for their own table. */
import { expect, it, vi } from 'vitest';
import { textOf } from './statement-text.ts';
import type { TargetTable } from './target-table.ts';

const table = () => ({}) as TargetTable;

it('writes a text once for each table and purpose', () => {
  const [one, other] = [table(), table()];
  const write = vi.fn(() => 'SQL');
  for (let round = 0; round < 3; round++) for (const of of [one, other]) textOf(of, 'insert', write);
  expect(textOf(one, 'delete', () => 'other SQL')).toBe('other SQL');
  expect(textOf(one, 'insert', write)).toBe('SQL');
  expect(write).toHaveBeenCalledTimes(2);
});

it('forgets where there are too many', () => {
  const first = table();
  const write = vi.fn(() => 'SQL');
  textOf(first, 'insert', write);
  for (let other = 0; other < 1_000; other++) textOf(table(), 'insert', () => 'SQL');
  textOf(first, 'insert', write);
  expect(write).toHaveBeenCalledTimes(2);
});
