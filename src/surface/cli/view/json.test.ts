import { expect, it } from 'vitest';
import { document, documentParts } from './json.ts';

it.each([
  [[]],
  [['one']],
  [
    [
      { id: 'a\nb', list: [1, []] },
      { id: '"list"', nothing: null },
    ],
  ],
])('a document in parts is the document: %j', (steps) => {
  const data = { notMigrated: ['a "list" of them'] };
  const parts = [...documentParts('SchemaPlan', 'steps', { items: steps, data })];
  expect(parts.join('')).toBe(document({ kind: 'SchemaPlan', data: { steps, ...data } }));
  expect(parts.length).toBe(steps.length + 1);
});
