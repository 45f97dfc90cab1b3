import { expect, it } from 'vitest';
import { ManyLists } from './many-lists.ts';

it('keeps lists apart, in the order of adding, each value once', () => {
  const lists = new ManyLists<string, string>();
  for (const [key, value] of ['ab', 'xy', 'ac', 'ab', 'xz', 'aa'].map((text) => [...text]))
    lists.add(key ?? '', value ?? '');
  expect(['a', 'x', 'y'].map((key) => lists.of(key))).toEqual([['b', 'c', 'a'], ['y', 'z'], []]);
});
