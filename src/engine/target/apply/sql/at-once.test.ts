/** Which windows go to the target in one round trip, and how it judges them. */
import { describe, expect, it } from 'vitest';
import { byteText } from '../../../change/change.ts';
import type { Planned } from './apply-sql.ts';
import { atOnce } from './at-once.ts';

/** All that is asked of a planned statement. */
function planned(
  sql: string,
  expects: number | null,
  more: Partial<Planned> & { fires?: boolean } = {},
): Planned {
  const { fires = false, ...rest } = more;
  return { sql, values: [byteText('7')], expect: expects, table: { fires }, ...rest } as unknown as Planned;
}

describe('a small window', () => {
  it('has each statement count its rows where the number must be right', () => {
    const update = planned('UPDATE t SET v = $1', 3, { binary: [true] });
    const [counted] = atOnce([update]) ?? [];
    expect(counted).toEqual({
      sql: 'WITH touched AS (UPDATE t SET v = $1 RETURNING 1) SELECT 1 / (count(*) = $2::bigint)::int FROM touched',
      values: ['7', '3'],
      binary: [true, false],
    });
  });

  it('leaves alone what may touch any number', () => {
    const any = planned('TRUNCATE t', null);
    expect(atOnce([any])).toEqual([any]);
  });

  it('is judged from here where it counts too much, fires, goes by COPY, or cannot stand in a WITH', () => {
    expect(atOnce([planned('DELETE FROM t', 600), planned('DELETE FROM u', 600)])).toBeNull();
    expect(atOnce([planned('UPDATE t SET v = $1', 1, { fires: true })])).toBeNull();
    expect(atOnce([planned('COPY t FROM STDIN', 1, { copyData: Buffer.from('x\n') })])).toBeNull();
    expect(
      atOnce([planned('WITH d AS (DELETE FROM t RETURNING *) INSERT INTO t SELECT * FROM d', 1)]),
    ).toBeNull();
  });
});
