/** A dead letter as it is written: the whole change with what is needed to apply it again. Pure. */
import {
  byteText,
  UNCHANGED,
  type ByteText,
  type Cell,
  type RowChange,
  type Tuple,
} from '../../change/change.ts';
import { formatLsn } from '../../change/lsn.ts';
import type { Statement } from '../../pg/wire/pipeline.ts';
import type { Planned } from '../apply/sql/apply-sql.ts';
import { arrayLiteral } from '../apply/sql/column-array.ts';
import { digestOfKey } from './letter-key.ts';
import type { TargetTable } from '../apply/sql/target-table.ts';

export interface Refusal {
  readonly code: string;
  readonly sqlstate: string;
  readonly reason: string;
}

type Value = Statement['values'][number];

/** A statement's parameters as they are met. */
class Parameters {
  readonly values: Value[] = [];
  readonly binary: boolean[] = [];

  text(value: string | ByteText, type: string): string {
    return this.add(byteText(value), false, type);
  }

  names(names: readonly string[]): string {
    return this.add(arrayLiteral(names.map(byteText)), false, 'text[]');
  }

  /** Each value is a parameter of its own, so what is large is never copied (I4); as bytes, for the target's encoding may not know them. */
  cells(row: Tuple | null): string {
    if (row === null) return 'NULL';
    const cells = row.map((cell) => this.add(bytesOf(cell), true, 'bytea'));
    return `ARRAY[${cells.join(', ')}]::bytea[]`;
  }

  private add(value: Value, isBinary: boolean, type: string): string {
    this.values.push(value);
    this.binary.push(isBinary);
    return `$${this.values.length}::${type}`;
  }
}

function bytesOf(cell: Cell): Value {
  return cell === UNCHANGED ? null : cell;
}

/** Its row, and then the transaction that wrote it. For a statement that is a change in order. */
export function letterStatements(taskId: string, planned: Planned, refusal: Refusal): Statement[] {
  const { table, change: placed } = planned;
  if (!placed) throw new Error('a letter of no single change');
  const { change, finalLsn, ordinal } = placed;
  const { relation } = table;
  const p = new Parameters();
  const key = keyOf(table, change);
  // What is left out of the target is not kept there in a letter either.
  const taken = (cells: Tuple | null) =>
    cells?.map((cell, at) => (table.columnNames[at] === null ? null : cell)) ?? null;
  const row = taken(change.kind === 'delete' ? null : change.new);
  const old = taken(change.kind === 'insert' ? null : change.old);
  const names = (of: (at: number) => boolean) =>
    p.names(relation.columns.flatMap(({ name }, at) => (of(at) ? [name] : [])));
  const columns: Record<string, string> = {
    task_id: p.text(taskId, 'text'),
    schema_name: p.text(table.source.schema, 'text'),
    table_name: p.text(table.source.name, 'text'),
    target_schema: p.text(table.name.schema, 'text'),
    target_name: p.text(table.name.name, 'text'),
    final_lsn: p.text(formatLsn(finalLsn), 'pg_lsn'),
    ordinal: p.text(String(ordinal), 'bigint'),
    kind: p.text(change.kind, 'text'),
    identity: p.text(relation.replicaIdentity, 'text'),
    columns: names(() => true),
    target_columns: p.names(table.columnNames.map((name) => name ?? '')),
    identity_columns: names((at) => relation.columns[at]?.isKey === true),
    left_out: names((at) => (table.columns[at] ?? null) === null),
    key_columns: p.names(table.key?.map(({ at }) => relation.columns[at]?.name ?? '') ?? []),
    key_values: p.cells(key),
    key_digest: p.text(digestOfKey(key), 'text'),
    old_row: p.cells(old),
    new_row: p.cells(row),
    unchanged: names((at) => row?.[at] === UNCHANGED),
    code: p.text(refusal.code, 'text'),
    sqlstate: p.text(refusal.sqlstate, 'text'),
    reason: p.text(refusal.reason, 'text'),
  };
  const { values, binary } = p;
  const sql = `INSERT INTO _opendts.dead_letter (${Object.keys(columns).join(', ')}) VALUES (${Object.values(columns).join(', ')})`;
  return [{ sql, values, binary }, STAMP];
}

/** The row says itself which transaction, or part of one, has written it. Looked up once, in the index. */
const STAMP: Statement = {
  sql: `UPDATE _opendts.dead_letter SET written = xmin WHERE id = (SELECT pg_catalog.currval('_opendts.dead_letter_id_seq'))`,
  values: [],
};

/** Of the row as it was before. */
function keyOf({ key }: TargetTable, change: RowChange): Cell[] {
  return (key ?? []).map(({ at }) => {
    if (change.kind === 'insert') return change.new[at] ?? null;
    if (change.kind === 'delete') return change.old[at] ?? null;
    return change.old?.[at] ?? change.new[at] ?? null;
  });
}
