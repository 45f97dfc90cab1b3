/** The generated pages are as the code would write them now. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pages } from '../scripts/write-docs.ts';

describe('the generated documentation', () => {
  it.each(Object.entries(pages()))('%s is up to date (npm run docs)', (path, text) => {
    expect(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')).toBe(text);
  });
});
