/**
 * Applies a dead letter after all, in one transaction with its removal; what is refused again stays, with the new reason. The stream may be
 * running, and a later change of the same row may have been applied already. So:
 *
 * - an update or delete is applied where its row has not been written since the letter, by the transaction ids of the two;
 * - else, and for an insert, the source is asked, while the target's row is locked: the letter counts where the source still has the row
 *   exactly as the letter, or the last of the letters of that row, leaves it;
 * - anything else is refused: nothing newer is ever overwritten, and no row that is gone comes back.
 */
import { isUtf8 } from 'node:buffer';
import { AppError, toAppError } from '../../../base/errors/app-error.ts';
import { readable, type ByteText, type Cell, type RowChange } from '../../change/change.ts';
import { displayName, nameKey, type Relation, type ReplicaIdentity } from '../../change/relation.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import type { UniqueKey } from '../../pg/catalog/constraints/unique-keys.ts';
import { ident, qname } from '../../pg/ident.ts';
import { PgError, SQLSTATE, sqlstateOf } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import { ApplyRefused, explainApply, refusalOf, RowCountDiffers } from '../apply/apply-failure.ts';
import { changeOne, rowsOf, value, type Planned } from '../apply/sql/apply-sql.ts';
import { digestOfKey, keyAfter } from './letter-key.ts';
import { sourceAgrees } from './letter-on-source.ts';
import {
  describeLetterKey,
  namesOf,
  readLetterRows,
  type Letter,
  type LetterRows,
} from './stored-letters.ts';
import { joinTable, SAME_NAMES, type TargetTable } from '../apply/sql/target-table.ts';

/** Its values are read whole, and more than once. */
const MAX_BYTES = 128n * 1024n * 1024n;

export interface ReplayEnds {
  readonly target: Session;
  /** Null: it cannot be asked. */
  readonly source: () => Promise<Session | null>;
  readonly tables: ReadonlyMap<string, TableInfo>;
  readonly keys: ReadonlyMap<string, readonly UniqueKey[]>;
}

/** Why it was refused again; null: it is applied, or somebody else has seen to it. */
export async function replayLetter(ends: ReplayEnds, letter: Letter): Promise<AppError | null> {
  const { target } = ends;
  try {
    await patiently(() => target.transaction(() => replay(ends, letter)));
    return null;
  } catch (thrown) {
    if (thrown instanceof PgError && !/^(2|3|4[24]|55000|P0)/.test(thrown.sqlstate)) throw thrown;
    const error = thrown instanceof PgError ? refusedBy(letter, thrown) : toAppError(thrown);
    if (error.code === 'UNEXPECTED' || error.code === 'CONNECTION_LOST') throw thrown;
    await target.query(
      `UPDATE _opendts.dead_letter SET code = $2, reason = $3, sqlstate = $4, tried_at = pg_catalog.now() WHERE id = $1::bigint`,
      [letter.id, error.code, error.message, String(error.facts.sqlstate ?? '')],
    );
    return error;
  }
}

const ATTEMPTS = 5;

/** The stream may want the same rows in another order. */
async function patiently(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (sqlstateOf(thrown) !== SQLSTATE.deadlock || attempt >= ATTEMPTS) throw thrown;
    }
  }
}

function refusedBy(letter: Letter, thrown: PgError): AppError {
  const facts = { table: displayName(letter.target), key: describeLetterKey(letter) };
  return new AppError('APPLY_FAILED', {
    ...facts,
    problem: thrown.shown,
    sqlstate: thrown.sqlstate,
    sql: '',
  });
}

async function replay(ends: ReplayEnds, letter: Letter): Promise<void> {
  const { target } = ends;
  const info = ends.tables.get(nameKey(letter.target));
  if (!info) throw unusable(letter, 'its target table is not there');
  const shape = { info, keys: ends.keys.get(nameKey(letter.target)) ?? [] };
  // The table first, as everybody who empties it does.
  await target.query(`LOCK TABLE ${qname(info)} IN ROW EXCLUSIVE MODE`);
  const [stored] = await target.query(
    `SELECT identity, pg_catalog.array_to_json(identity_columns)::text AS identity_columns, pg_catalog.array_to_json(left_out)::text AS left_out,
            pg_catalog.array_to_json(target_columns)::text AS target_columns,
            (SELECT coalesce(sum(pg_catalog.octet_length(u.v)), 0) FROM unnest(old_row || new_row) u(v))::text AS bytes,
            written::text AS written, follows::text AS follows
       FROM _opendts.dead_letter WHERE id = $1::bigint FOR UPDATE`,
    [letter.id],
  );
  if (!stored) return;
  if (BigInt(stored.bytes ?? '0') > MAX_BYTES)
    throw unusable(letter, `its values take more than ${MAX_BYTES / 1024n / 1024n} MB`);
  const rows = await readLetterRows(target, letter.id);
  if (!rows) return;
  const identity = { kind: stored.identity as ReplicaIdentity, columns: namesOf(stored.identity_columns) };
  const described = {
    letter,
    rows,
    identity,
    leftOut: new Set(namesOf(stored.left_out)),
    targetColumns: namesOf(stored.target_columns),
  };
  const table = tableOf(described, shape);
  const planned = changeOne(table, changeOf(letter, rows, table.relation));
  if (planned) {
    await assertCounts(
      ends,
      { letter, table, planned },
      { written: stored.written ?? '', follows: stored.follows ?? null },
    );
    await execute(target, planned, letter);
  }
  await follow(target, letter, rows);
  await target.query('DELETE FROM _opendts.dead_letter WHERE id = $1::bigint', [letter.id]);
}

interface Described {
  readonly letter: Letter;
  readonly rows: LetterRows;
  readonly identity: { readonly kind: ReplicaIdentity; readonly columns: readonly string[] };
  readonly leftOut: ReadonlySet<string>;
  /** Of the columns of the rows, in their order. */
  readonly targetColumns: readonly string[];
}

/** Throws RELATION_CHANGED where the target has no column any more for a value of the letter. */
function tableOf(
  { letter, rows, identity, leftOut, targetColumns }: Described,
  { info, keys }: { info: TableInfo; keys: readonly UniqueKey[] },
): TargetTable {
  const relation: Relation = {
    ...letter.table,
    oid: 0,
    replicaIdentity: identity.kind,
    columns: rows.columns.map((name) => ({
      name,
      typeOid: 0,
      typmod: -1,
      isKey: identity.columns.includes(name),
    })),
  };
  return joinTable(relation, {
    name: info,
    isPartitioned: info.kind === 'p',
    columns: info.columns,
    names: { ...SAME_NAMES, column: (name) => targetColumns[rows.columns.indexOf(name)] || null },
    keys,
    leftOut,
    sourceColumns: new Set(rows.columns),
    known: new Map(),
    source: letter.table,
    sources: [letter.table],
    isOurs: false,
    fires: false,
  });
}

function changeOf({ kind }: Letter, { old, new: row }: LetterRows, relation: Relation): RowChange {
  if (kind === 'delete') return { kind, relation, old: old ?? [] };
  return kind === 'insert' ? { kind, relation, new: row ?? [] } : { kind, relation, old, new: row ?? [] };
}

interface Replaying {
  readonly letter: Letter;
  readonly table: TargetTable;
  readonly planned: Planned;
}

/** Throws LETTER_OVERTAKEN where the row has gone on without this change. A row without a key is what its values are: it is found or not. */
async function assertCounts(
  ends: ReplayEnds,
  { letter, table, planned }: Replaying,
  { written, follows }: { written: string; follows: string | null },
): Promise<void> {
  if (!table.key || !planned.key) return;
  const { key } = planned;
  const cells = table.key.map((_, at) => known(key[at], letter));
  const where = table.key
    .map(({ column, equals }, at) => `t.${ident(column.name)} ${equals} $${at + 3}::${column.bareType}`)
    .join(' AND ');
  const found = await ends.target.query(
    `SELECT coalesce(pg_catalog.age(t.xmin) > pg_catalog.age($1::xid) OR t.xmin = $2::xid, false)::text AS is_old
       FROM ${rowsOf(table)} t WHERE ${where} FOR UPDATE`,
    [written, follows, ...cells],
  );
  const facts = {
    table: displayName(letter.target),
    key: describeLetterKey(letter),
    operation: letter.kind.toUpperCase(),
  };
  if (letter.kind === 'insert' && found.length > 0)
    throw new AppError('LETTER_OVERTAKEN', { ...facts, problem: 'a row of that key is there' });
  if (letter.kind !== 'insert' && found.length === 0)
    throw new AppError('LETTER_OVERTAKEN', { ...facts, problem: 'no row of that key is there' });
  if (letter.kind !== 'insert' && found.every((row) => row.is_old === 'true')) return;
  const since =
    letter.kind === 'insert'
      ? 'whether it was deleted since'
      : 'the row has been written since, and what it is';
  const source = await ends.source();
  if (source === null)
    throw new AppError('LETTER_OVERTAKEN', {
      ...facts,
      problem: `${since} only the source can tell, which does not answer`,
    });
  if (!(await sourceAgrees({ target: ends.target, source }, letter)))
    throw new AppError('LETTER_OVERTAKEN', {
      ...facts,
      problem: 'on the source the row is another by now, or gone',
    });
}

async function execute(target: Session, planned: Planned, letter: Letter): Promise<void> {
  const values = planned.values.map((cell) => known(cell as ByteText | null, letter));
  try {
    const touched = await target.query(`${planned.sql} RETURNING 1 AS one`, values);
    if (touched.length !== planned.expect) throw explainApply(new RowCountDiffers(planned, touched.length));
  } catch (thrown) {
    const reason = refusalOf(thrown, planned);
    throw reason instanceof ApplyRefused ? explainApply(reason) : reason;
  }
}

/** As the driver takes it. */
function known(cell: Cell | undefined, letter: Letter): string | null {
  const bytes = value(cell);
  if (bytes === null) return null;
  if (typeof bytes === 'string' && !isUtf8(Buffer.from(bytes, 'latin1')))
    throw unusable(letter, 'a value is not in the encoding UTF8');
  return readable(bytes);
}

/** To later letters of the row that it is now, what this transaction wrote is no news. */
async function follow(target: Session, letter: Letter, rows: LetterRows): Promise<void> {
  if (letter.keyColumns.length === 0) return;
  await target.query(
    `UPDATE _opendts.dead_letter SET follows = (pg_catalog.txid_current() % 4294967296)::text::xid
      WHERE task_id = $1 AND target_schema = $2 AND target_name = $3 AND key_digest = $4 AND id > $5::bigint`,
    [letter.taskId, letter.target.schema, letter.target.name, digestOfKey(keyAfter(letter, rows)), letter.id],
  );
}

function unusable(letter: Letter, problem: string): AppError {
  return new AppError('LETTER_UNUSABLE', { id: letter.id, table: displayName(letter.table), problem });
}
