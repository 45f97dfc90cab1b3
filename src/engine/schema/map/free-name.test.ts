import { expect, it } from 'vitest';
import { freeName } from './free-name.ts';

it('names are chosen as a server does: numbered where taken, and cut where too long', () => {
  const taken = new Set(['orders_pkey']);
  expect(freeName(['orders'], 'pkey', taken)).toBe('orders_pkey1');
  expect(freeName(['orders'], 'pkey', taken)).toBe('orders_pkey2');
  expect(freeName(['orders', 'id'], 'not_null', taken)).toBe('orders_id_not_null');
  expect(freeName(['x'.repeat(63)], 'pkey', taken)).toBe(`${'x'.repeat(58)}_pkey`);
  expect(freeName(['é'.repeat(31)], 'pkey', taken)).toBe(`${'é'.repeat(29)}_pkey`);
  expect(freeName(['x'.repeat(60), 'y'.repeat(20)], 'not_null', taken)).toHaveLength(63);
});
