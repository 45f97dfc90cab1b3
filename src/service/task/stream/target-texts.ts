/** What the source says of one table (types, expressions, an index), under the names of the target: for DDL that is repeated there. */
import type { QualifiedName } from '../../../engine/change/relation.ts';
import { readColumnUsers } from '../../../engine/pg/catalog/tables/column-users.ts';
import { readSequences } from '../../../engine/pg/catalog/sequences.ts';
import type { ObjectKey } from '../../../engine/pg/catalog/user-object.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { nameMap, tableKey } from '../../../engine/schema/map/name-map.ts';
import { loadParser } from '../../../engine/schema/rewrite/parser.ts';
import { openTexts } from '../../../engine/schema/map/texts.ts';
import { NotApplicable } from '../../../engine/target/ddl/column-plan.ts';
import type { TaskRun } from '../task-run.ts';

export interface TargetTexts {
  readonly type: (text: string) => string;
  /** A name with its schema, of a collation. */
  readonly collation: (text: string) => string;
  /** Over the columns of the table. Throws NotApplicable. */
  readonly expression: (text: string) => string;
  /** CREATE INDEX on the table, under the name that the task knows it by. Throws NotApplicable. */
  readonly index: (statement: string) => string;
  /** The column that an object of the source needs and the target is not to have; null where there is none. */
  readonly lacks: (user: ObjectKey) => string | null;
}

const same = (text: string) => text;
const SAME: TargetTexts = { type: same, collation: same, expression: same, index: same, lacks: () => null };

interface NumberedColumn {
  readonly attnum: number;
  readonly name: string;
}

/** `now`: the columns that the table has on the source, under whose names the server writes what it says. */
export async function openTargetTexts(
  { mapping, selected }: Pick<TaskRun, 'mapping' | 'selected'>,
  table: QualifiedName & { readonly oid: number; readonly now: readonly NumberedColumn[] },
  source: Session,
): Promise<TargetTexts> {
  if (!mapping.changesNames) return SAME;
  const key = tableKey(table);
  const out = table.now.filter(({ name }) => mapping.column(table, name) === null);
  const users = await readColumnUsers(
    source,
    out.map(({ attnum }) => ({ table: key, attnum })),
  );
  const lacking = new Map(
    users.flatMap(({ user, attnum }) => {
      const column = out.find((one) => one.attnum === attnum);
      return column ? [[user, column.name] as const] : [];
    }),
  );
  const tables = selected.map((one) => ({
    key: tableKey(one),
    info: one.oid === table.oid ? { ...one, columns: table.now } : one,
  }));
  const model = { tables, sequences: await readSequences(source), indexes: [] };
  const map = nameMap(model, mapping, new Set(out.map(({ name }) => name)));
  const of = { unwritable: new Map(), toLookAt: new Map() };
  const texts = openTexts(await loadParser(), map, { changed: EVERYTHING, of });
  const rewritten: typeof texts.rewrite = (what, text, how) => {
    const result = texts.rewrite(what, text, how);
    const reason = texts.refused.get(what);
    if (reason === undefined) return result;
    texts.refused.delete(what);
    throw new NotApplicable(`${text}: ${reason}`);
  };
  return {
    type: texts.names.types,
    collation: texts.names.schemas,
    expression: (text) => rewritten(key, text, (rewriter, sql) => rewriter.expression(sql, table)),
    index: (statement) => rewritten(key, statement, (rewriter, sql) => rewriter.statement(sql)),
    lacks: (user) => lacking.get(user) ?? null,
  };
}

/** Few texts, which are read whatever stands in them. */
const EVERYTHING = { areIn: () => true, linesIn: () => [] };
