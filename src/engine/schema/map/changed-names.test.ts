import { describe, expect, it } from 'vitest';
import { targetNames } from '../../selection/target-names.ts';
import { changedNames } from './changed-names.ts';

const table = (oid: number, schema: string, name: string, ...columns: string[]) => ({
  oid,
  schema,
  name,
  rootOid: null,
  columns: columns.map((column) => ({ name: column })),
});
const TABLES = [
  table(1, 'shop', 'orders', 'id', 'total', 'a"b', "it's", 'tür'),
  table(2, 'other', 'id', 'same', 'gone'),
];
const NAMES = targetNames(
  TABLES,
  {
    rename: {
      'shop.*': 'store.*',
      'shop.orders': 'store."My Orders"',
      'shop.orders.total': 'amount',
      'shop.orders."a""b"': 'ab',
      'shop.orders."it\'s"': 'its',
      'shop.orders.tür': 'door',
    },
    capitalization: 'source',
    excludeColumns: ['other.id.gone'],
  },
  { partitions: 'keep' },
);
const changed = changedNames(
  { schemas: [{ name: 'shop' }, { name: 'other' }], tables: TABLES.map((info) => ({ info })) },
  NAMES,
);

describe('names that are others on the target', () => {
  it.each([
    ['a schema', 'SELECT shop.f()'],
    ['a table', 'SELECT * FROM orders'],
    ['a column', 'total > 0'],
    ['a column that is left out', 'gone IS NULL'],
    ['letters beyond ASCII', 'new.tür'],
    ['folded as the server does it', 'SELECT * FROM ORDERS'],
    ['quoted', '"total" + 1'],
    ['quoted in capitals, to be careful', '"Total"'],
    ['a doubled quote in it', 'new."a""b"'],
    ['a quote in it', `"it's"`],
    ['a quote in it, in a literal', `EXECUTE 'SELECT "it''s" FROM x'`],
    ['in a literal', `'shop.other'::regclass`],
    ['in a literal, quoted', `nextval('"shop"."n"')`],
    ['in dollar quotes within dollar quotes', `$a$ DO $b$ SELECT 'x' || total $b$ $a$`],
    ['at the end of dollar quotes', 'AS $function$SELECT o.total$function$'],
    ['alone in dollar quotes', '$b$total$b$'],
    ['in quotes that are a text of their own', `x := "SELECT sum(total) FROM t"`],
    ['in a comment', '-- of orders\n'],
    ['over lines', 'SELECT 1,\n  total\nFROM x'],
  ])('are seen: %s', (_, text) => {
    expect(changed.areIn(text)).toBe(true);
  });

  it.each([
    ['parts of longer words', 'subtotal totals total_2 total2 _total 2shops'],
    ['parts of longer words with other letters', 'totalé étotal türe'],
    ['parts of quoted words', '"subtotal" "a""bc" "tot"'],
    ['names that stay', 'SELECT id, same FROM other.id'],
    ['names of the target', 'SELECT amount, ab, door FROM store."x"'],
    ['nothing', ''],
    ['a single quote mark', '"'],
    ['doubled quotes alone', '"" """"'],
  ])('are not seen in %s', (_, text) => {
    expect(changed.areIn(text)).toBe(false);
  });

  it('are told by the numbers of their lines', () => {
    const body = 'BEGIN\n  total := 1;\n  x := 2;\n  PERFORM shop.f("a""b");\nEND';
    expect(changed.linesIn(body)).toEqual([2, 4]);
    expect(changed.linesIn('id')).toEqual([]);
    expect(changed.linesIn('')).toEqual([]);
  });
});
