/** What somebody may have meant who has mistyped an id. */
import { describe, expect, it } from 'vitest';
import { nearestTo } from './objects.ts';

const KNOWN = [
  'view shop.names',
  'view shop.more_names',
  'table shop.item',
  'function shop.norm(v text)',
  'view "Shop".names',
];

describe('the ids nearest to one that is none', () => {
  it.each([
    ['view shop.nams', ['view shop.names', 'view "Shop".names']],
    ['VIEW shop.names', ['view shop.names', 'view "Shop".names', 'view shop.more_names']],
    ['shop.norm', ['function shop.norm(v text)']],
    ['no such thing at all', []],
  ])('of %s', (written, nearest) => {
    expect(nearestTo(written, KNOWN)).toEqual(nearest);
  });
});
