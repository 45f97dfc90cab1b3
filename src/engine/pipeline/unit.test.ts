/** What becomes of a transaction's changes of one unit (data-plane I1, I2). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Begin } from '../change/change.ts';
import { lsnFrom } from '../change/lsn.ts';
import { parseSnapshot } from '../change/snapshot.ts';
import { Unit, type Later } from './unit.ts';

function begin(xid: number, finalLsn: bigint): Begin {
  return { kind: 'begin', xid, finalLsn: lsnFrom(finalLsn), commitTime: 0n };
}

const READ_UNTIL = 1_000n;
const later: Later = {
  text: '',
  snapshot: parseSnapshot('100:200:100,150'),
  readUntil: lsnFrom(READ_UNTIL),
};

function isInCopy(under: Later | null, transaction: Begin): boolean {
  return Unit.done(under).judge(transaction) === 'in-copy';
}

describe('a transaction of the stream', () => {
  it('always applies to a unit copied under the snapshot of the slot', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.bigInt({ min: 0n, max: 1n << 64n }), (xid, finalLsn) => {
        expect(isInCopy(null, begin(xid, finalLsn))).toBe(false);
      }),
    );
  });

  it('is in a copy under a later snapshot exactly when that snapshot sees it', () => {
    expect(isInCopy(later, begin(99, 500n))).toBe(true);
    expect(isInCopy(later, begin(149, 500n))).toBe(true);
    expect(isInCopy(later, begin(100, 500n))).toBe(false);
    expect(isInCopy(later, begin(150, 500n))).toBe(false);
    expect(isInCopy(later, begin(200, 500n))).toBe(false);
  });

  it('is judged by its xid up to R, and applies beyond it whatever its xid looks like', () => {
    expect(isInCopy(later, begin(149, READ_UNTIL))).toBe(true);
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.bigInt({ min: 1n, max: 1n << 63n }), (xid, beyond) => {
        expect(isInCopy(later, begin(xid, READ_UNTIL + beyond))).toBe(false);
      }),
    );
  });

  it('is judged in the epoch of the snapshot', () => {
    const wrapped: Later = {
      text: '',
      snapshot: parseSnapshot('4294967396:4294967496:'),
      readUntil: lsnFrom(READ_UNTIL),
    };
    expect(isInCopy(wrapped, begin(99, 500n))).toBe(true);
    expect(isInCopy(wrapped, begin(4_294_967_000, 500n))).toBe(true);
    expect(isInCopy(wrapped, begin(201, 500n))).toBe(false);
  });
});

describe('a unit', () => {
  const unseen = begin(150, 500n);

  it('drops what comes while it waits, and waits again when its snapshot lacks something', () => {
    const unit = Unit.waiting();
    expect(unit.judge(unseen)).toBe('in-copy');
    unit.bind(later);
    expect(unit.judge(begin(99, 500n))).toBe('in-copy');
    expect(unit.judge(unseen)).toBe('in-copy');
    expect(unit.claim()).toBe(false);
    unit.bind(later);
    expect(unit.claim()).toBe(true);
  });

  it('keeps a change waiting while it is copied, and lets it in when that is over', async () => {
    const unit = Unit.waiting();
    unit.bind(later);
    unit.claim();
    expect(unit.judge(begin(99, 500n))).toBe('in-copy');
    expect(unit.judge(unseen)).toBe('wait');
    const settled = unit.settled();
    unit.finish();
    await settled;
    expect(unit.judge(unseen)).toBe('apply');
  });

  it('whose copy failed has the change in the copy that follows', async () => {
    const unit = Unit.waiting();
    unit.bind(null);
    unit.claim();
    expect(unit.judge(unseen)).toBe('wait');
    const settled = unit.settled();
    unit.release();
    await settled;
    expect(unit.judge(unseen)).toBe('in-copy');
  });

  it('that is done or being copied is not bound to another snapshot', () => {
    const unit = Unit.done(null);
    unit.bind(later);
    expect(unit.later).toBeNull();
  });
});
