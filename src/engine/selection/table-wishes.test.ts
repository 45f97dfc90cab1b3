/** Rules and the tables they are about. */
import { describe, expect, it } from 'vitest';
import { OPERATIONS, type TableRule } from '../../contract/task-spec.ts';
import { tableWishes } from './table-wishes.ts';

const tables = [
  { schema: 'sales', name: 'orders', oid: 1, rootOid: null },
  { schema: 'sales', name: 'lines', oid: 2, rootOid: null },
  { schema: 'parts', name: 'lines_2024', oid: 3, rootOid: 2 },
  { schema: 'audit', name: 'orders', oid: 4, rootOid: null },
];

function wishes(rules: TableRule[], operations = [...OPERATIONS]) {
  const of = tableWishes(tables, { operations, rules });
  return tables.map((table) => ({ ...of(table), operations: [...of(table).operations].join(' ') }));
}
const ALL = OPERATIONS.join(' ');

describe('what is wanted of a table', () => {
  it('is what the task says where no rule speaks of it', () => {
    expect(wishes([], ['insert', 'update'])).toEqual(
      tables.map(() => ({ operations: 'insert update', filter: null })),
    );
  });

  it('is what the last rule says, for operations and rows apart, and for partitions as for their table', () => {
    expect(
      wishes([
        { tables: 'sales.*', filter: 'a > 1', operations: ['insert'] },
        { tables: 'lines', filter: 'b = 2' },
        { tables: 'orders', operations: ['insert', 'delete'] },
      ]),
    ).toEqual([
      { operations: 'insert delete', filter: 'a > 1' },
      { operations: 'insert', filter: 'b = 2' },
      { operations: 'insert', filter: 'b = 2' },
      { operations: 'insert delete', filter: null },
    ]);
  });

  it('is every row again where a later rule says true', () => {
    const [orders, lines] = wishes([
      { tables: 'sales.*', filter: 'a > 1' },
      { tables: 'sales.lines', filter: ' TRUE ' },
    ]);
    expect(orders).toEqual({ operations: ALL, filter: 'a > 1' });
    expect(lines).toEqual({ operations: ALL, filter: null });
  });

  it.each(['sale.*', 'lines_2024', 'ORDERS'])('is not said by a rule that matches nothing: %s', (pattern) => {
    expect(() =>
      wishes([
        { tables: 'orders', filter: 'a' },
        { tables: pattern, filter: 'a' },
      ]),
    ).toThrow(`"${pattern}" (of a rule) matches no table`);
  });
});
