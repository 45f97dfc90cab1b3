/** Names in a terminal and in a shell. */
import { describe, expect, it } from 'vitest';
import { printable, table } from './text.ts';

describe('text for a terminal', () => {
  it('shows control characters of a name instead of obeying them', () => {
    expect(printable('a\n\x1b[2Jb\u202ec')).toBe(String.raw`a\x0a\x1b[2Jb\u202ec`);
  });

  it('aligns columns, numbers on the right', () => {
    expect(
      table(
        ['name', 'rows'],
        [
          ['a', '10'],
          ['longer', '7'],
        ],
        ['rows'],
      ),
    ).toEqual(['name    rows', 'a         10', 'longer     7']);
  });
});
