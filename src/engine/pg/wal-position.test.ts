/** The insert position without the headers of a fresh page. */
import { describe, expect, it } from 'vitest';
import { formatLsn, parseLsn } from '../change/lsn.ts';
import { lastRecordEnd } from './wal-position.ts';

const MB16 = 16n * 1024n * 1024n;

describe('the end of the last record', () => {
  it.each([
    ['in the middle of a page', '0/1234568', '0/1234568'],
    ['at the end of a page', '0/1236000', '0/1236000'],
    ['behind the header of a fresh page', '0/1236018', '0/1236000'],
    ['behind the long header of a fresh segment', '0/2000028', '0/2000000'],
    ['40 bytes into a page that begins no segment', '0/1236028', '0/1236028'],
    ['at the end of a segment', '0/2000000', '0/2000000'],
    ['behind the header of a page above 4 GB', '16/B374E018', '16/B374E000'],
  ])('%s: %s is %s', (_, inserted, end) => {
    expect(formatLsn(lastRecordEnd(parseLsn(inserted), MB16))).toBe(end);
  });

  it('knows segments of other sizes by their own boundaries', () => {
    expect(formatLsn(lastRecordEnd(parseLsn('0/2100028'), 1024n * 1024n))).toBe('0/2100000');
    expect(formatLsn(lastRecordEnd(parseLsn('0/2100028'), MB16))).toBe('0/2100028');
    expect(formatLsn(lastRecordEnd(parseLsn('1/28'), 1024n * 1024n * 1024n))).toBe('1/0');
  });
});
