import { expect, it } from 'vitest';
import { ManyLists } from './many-lists.ts';

it('keeps lists apart, in the order of adding, each value once', () => {
  const lists = new ManyLists<string, string>();
  for (const [key, value] of ['a b', 'x y', 'a c', 'a b', 'x z', 'a a'].map((text) => text.split(' ')))
    lists.add(key ?? '', value ?? '');
  expect(['a', 'x', 'y'].map((key) => lists.of(key))).toEqual([['b', 'c', 'a'], ['y', 'z'], []]);
});
