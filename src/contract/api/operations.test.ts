import { describe, expect, it } from 'vitest';
import { pathFields, type Operation } from './operation.ts';
import { OPERATIONS } from './operations.ts';

const operations = Object.entries<Operation>(OPERATIONS);

describe('the operations', () => {
  it.each(operations)('%s takes the fields of its path', (_, { path, input }) => {
    for (const field of pathFields(path)) expect(Object.keys(input.shape)).toContain(field);
  });

  it.each(operations)(
    '%s that needs a right in a group has the group in its path, and no other has',
    (_, operation) => {
      const inGroup = !['anyone', 'self', 'administrator'].includes(operation.access);
      expect(operation.path.startsWith('/groups/{group}/')).toBe(inGroup);
    },
  );

  it('have each a method and path of their own', () => {
    const all = operations.map(([, { method, path }]) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`);
    expect(new Set(all).size).toBe(all.length);
  });
});
