/** The generated pages are as the code would write them now. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pages } from '../scripts/write-docs.ts';

describe('the generated documentation', () => {
  it.each(Object.entries(pages()))('%s is up to date (npm run docs)', (path, text) => {
    expect(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')).toBe(text);
  });
});

describe('the map of the code', () => {
  it('names files that are there', () => {
    const root = new URL('../', import.meta.url);
    const files = ['src', 'test', 'scripts'].flatMap((folder) =>
      readdirSync(new URL(folder, root), { recursive: true }).map((file) => `/${folder}/${String(file)}`),
    );
    const text = readFileSync(new URL('docs/architecture.md', root), 'utf8');
    const named = [...text.matchAll(/`([\w-][\w./-]*\.ts)`/g)].map(([, path]) => `/${path}`);
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((path) => !files.some((file) => file.endsWith(path)))).toEqual([]);
  });
});
