import { describe, expect, it } from 'vitest';
import { branchPoint } from './timeline.ts';

const HISTORY = '1\t0/3000148\tno recovery target specified\n\n2\t0/5000060\tno recovery target specified\n';

describe('the history of timelines', () => {
  it('says where each one was left, as text and as bytea', () => {
    expect(branchPoint(HISTORY, 1)).toBe(0x3000148n);
    expect(branchPoint(HISTORY, 2)).toBe(0x5000060n);
    expect(branchPoint(`\\x${Buffer.from(HISTORY).toString('hex')}`, 2)).toBe(0x5000060n);
  });

  it('knows nothing of a timeline that is not an ancestor', () => {
    expect(branchPoint(HISTORY, 3)).toBeNull();
    expect(branchPoint('', 1)).toBeNull();
  });
});
