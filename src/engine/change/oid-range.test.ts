import { describe, expect, it } from 'vitest';
import { ALL_OIDS, without } from './oid-range.ts';

describe('a range of oids', () => {
  it('without some of them is what lies between them', () => {
    expect(without({ first: 1, last: 10 }, [])).toEqual([{ first: 1, last: 10 }]);
    expect(without({ first: 1, last: 10 }, [5, 4, 8])).toEqual([
      { first: 1, last: 3 },
      { first: 6, last: 7 },
      { first: 9, last: 10 },
    ]);
    expect(without({ first: 1, last: 3 }, [1, 2, 3])).toEqual([]);
    expect(without(ALL_OIDS, [1, 4294967295])).toEqual([{ first: 2, last: 4294967294 }]);
  });
});
