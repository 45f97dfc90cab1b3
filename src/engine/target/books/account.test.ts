/** The account of a table: nothing may commit that is not accounted for (data-plane I6). */
import { describe, expect, it } from 'vitest';
import { accountStatement, assertBalanced, emptyAccount } from './account.ts';

const balanced = {
  ...emptyAccount(),
  received: 21,
  applied: 1,
  folded: 2,
  filtered: 3,
  invisible: 4,
  repeated: 5,
  dead: 6,
};

describe('an account', () => {
  it('balances when every change received went somewhere', () => {
    expect(() => assertBalanced('s.t', balanced)).not.toThrow();
    expect(() => assertBalanced('s.t', emptyAccount())).not.toThrow();
  });

  it.each(['received', 'applied', 'folded', 'filtered', 'invisible', 'repeated', 'dead'] as const)(
    'is broken by one change too many as %s, and then gives no statement',
    (field) => {
      const wrong = { ...balanced, [field]: balanced[field] + 1 };
      expect(() => assertBalanced('s.t', wrong)).toThrow(expect.objectContaining({ code: 'LEDGER_BROKEN' }));
      expect(() => accountStatement('task', new Map([['s.t', wrong]]))).toThrow('balance');
    },
  );

  it('gives no statement when there is nothing to add', () => {
    expect(accountStatement('task', new Map())).toBeNull();
  });
});
