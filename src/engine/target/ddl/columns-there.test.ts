import { describe, expect, it } from 'vitest';
import type { ColumnInfo } from '../../pg/catalog/tables/tables.ts';
import type { KnownColumns } from '../books/task-tables.ts';
import { SAME_NAMES } from '../apply/sql/target-table.ts';
import { planColumns } from './column-plan.ts';
import { stepWords } from './column-sql.ts';
import { columnsThere } from './columns-there.ts';
import { knownBehind } from './known-behind.ts';
import type { SourceColumn } from './source-column.ts';

/** In capitals but for `total`, which is `the sum`; `secret` is left out, and of types the schema is another one. */
const naming = {
  column: (name: string) => (name === 'secret' ? null : name === 'total' ? 'the sum' : name.toUpperCase()),
  type: (text: string) => text.replace(/^shop\./, '"Store 2".'),
};
const source = (attnum: number, name: string, more: Partial<SourceColumn> = {}): SourceColumn => ({
  attnum,
  name,
  type: 'integer',
  typeOid: 23,
  typmod: -1,
  notNull: false,
  generated: '',
  identity: '',
  collation: null,
  expression: null,
  past: { kind: 'null' },
  ...more,
});
const target = (name: string, type = 'integer'): ColumnInfo => ({
  attnum: 1,
  name,
  typeOid: 23,
  typmod: -1,
  type,
  bareType: type,
  typeKind: 'b',
  isArray: false,
  isBuiltinType: true,
  notNull: false,
  generated: '',
  identity: '',
  deterministic: true,
});
const known = (...columns: [name: string, attnum: number, type?: string | null][]): KnownColumns =>
  new Map(
    columns.map(([name, attnum, type = 'integer']) => [
      name,
      { attnum, isLater: false, forms: type === null ? [] : [{ typeOid: 23, typmod: -1, type }] },
    ]),
  );

const BEFORE = known(['id', 1], ['total', 2], ['secret', 3, null], ['mood', 4, 'shop.mood']);
const THERE = [target('ID'), target('the sum'), target('MOOD', '"Store 2".mood')];
const id = source(1, 'id');
const total = source(2, 'total');
const secret = source(3, 'secret');
const mood = source(4, 'mood', { type: 'shop.mood' });

/** What is done, and the names that are known afterwards: with their numbers, in brackets where they are left out. */
function follow(columns: readonly SourceColumn[], before = BEFORE, there = THERE) {
  const steps = planColumns({
    change: { from: 'command', mayConvert: false, afterRows: false },
    ...columnsThere({ source: columns, known: before }, naming),
    target: there,
    isOurs: true,
    isEmpty: false,
    own: SAME_NAMES,
  });
  const behind = knownBehind(before, columns, { steps, target: there, nameThere: naming.column });
  const names = [...behind].map(([name, { attnum, forms }]) =>
    forms.length === 0 ? `(${name} ${attnum})` : `${name} ${attnum}`,
  );
  return { words: steps.map(stepWords), names: names.join(' '), behind };
}

describe('a change of columns that have other names on the target', () => {
  it('is made under these', () => {
    expect(follow([id, total, secret, mood])).toMatchObject({
      words: [],
      names: 'id 1 total 2 (secret 3) mood 4',
    });
    expect(
      follow([id, source(2, 'amount', { type: 'bigint' }), secret, source(5, 'at', { type: 'shop.day' })]),
    ).toMatchObject({
      words: [
        'column "the sum" renamed to "AMOUNT"',
        'column "MOOD" dropped',
        'column "AMOUNT" is bigint now',
        'column "AT" ("Store 2".day) added',
      ],
      names: 'id 1 total null (secret 3) mood null amount 2 at 5',
    });
  });

  it('is none where only the source calls it otherwise', () => {
    const first = follow([source(1, 'ID'), source(2, 'the sum'), secret, mood], BEFORE, [
      target('ID'),
      target('THE SUM'),
      target('MOOD', '"Store 2".mood'),
    ]);
    expect(first.words).toEqual([]);
    expect(
      follow([source(1, 'ID'), source(2, 'x'), secret, mood], first.behind, [
        target('ID'),
        target('THE SUM'),
        target('MOOD', '"Store 2".mood'),
      ]).words,
    ).toEqual(['column "THE SUM" renamed to "X"']);
  });

  it('concerns no column that is left out, whatever it is called', () => {
    const renamed = follow([id, total, source(3, 'pay', { type: 'text' }), mood]);
    expect(renamed).toMatchObject({ words: [], names: 'id 1 total 2 (secret null) mood 4 (pay 3)' });
    expect(follow([id, total, mood]).words).toEqual([]);
    expect(follow([id, total, mood, source(5, 'secret')])).toMatchObject({
      words: [],
      names: 'id 1 total 2 (secret 5) mood 4',
    });
  });

  it('is refused where two would be one, or one that is there is to be left out', () => {
    expect(() => follow([id, total, secret, mood, source(5, 'Mood')])).toThrow(
      'columns "mood" and "Mood" would both be "MOOD" on the target',
    );
    expect(() => follow([id, source(2, 'secret'), mood])).toThrow(
      'column "total" is called "secret" now, which is left out; on the target it is there',
    );
    expect(() => follow([source(1, 'total'), source(2, 'id'), secret, mood])).toThrow(
      /another one than before/,
    );
  });
});
