/** What the user has changed of tables that are made: types that the target must have, and keys that the source does not keep. */
import { displayName, nameKey, type QualifiedName } from '../../change/relation.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import { readUniqueKeys } from '../../pg/catalog/constraints/unique-keys.ts';
import { PgError } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import { FirstModel } from '../../schema/first-model.ts';
import { loadParser } from '../../schema/rewrite/parser.ts';
import { readTypeName, type TypeName } from '../../schema/rewrite/type-name.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, finding, listed, listedTables } from '../finding.ts';

const NAME = 'changed_tables';

export const changedTables: Check = {
  name: NAME,
  async run(context) {
    if (!context.types.has('schema') || !context.mapping.changesTables) return [];
    const findings = [...(await missingTypes(context)), ...(await keysNotKept(context))];
    return findings.length > 0
      ? findings
      : [finding(NAME, 'passed', { what: 'the target has all types that columns are given' })];
  },
};

async function missingTypes(context: CheckContext): Promise<Finding[]> {
  const { target } = context;
  const wanted = await typesGiven(context);
  const isMade = await typesMade(context);
  const missing: string[] = [];
  for (const { sql, name } of wanted.values()) {
    if (name !== null && isMade(name)) continue;
    const reason = await refusal(target, sql);
    if (reason !== null) missing.push(`${sql} (${reason})`);
  }
  if (missing.length === 0) return [];
  return [
    finding(NAME, 'failed', {
      what: `the target does not have ${counted(missing.length, 'type')} that columns are to be given`,
      evidence: listed(missing),
      fix: "# create it there, or name another with --column-type; one that is not the server's own with its schema",
    }),
  ];
}

/** By their text. Partitions have those of their table. */
async function typesGiven({ tables, mapping }: CheckContext): Promise<Map<string, TypeName>> {
  const parser = await loadParser();
  return new Map(
    tables.flatMap((table) =>
      table.columns.flatMap(({ name }) => {
        const written = mapping.type(table, name);
        if (written === null) return [];
        const type = readTypeName(parser, written, `${displayName(table)}.${name}`);
        return [[type.sql, type] as const];
      }),
    ),
  );
}

/** Whether the migration makes a type of this name on the target. */
async function typesMade(context: CheckContext): Promise<(name: QualifiedName) => boolean> {
  const { source, mapping, createExtensions = false, firstModel = new FirstModel() } = context;
  const model = await firstModel.read(source);
  const own = [...model.enums, ...model.domains, ...model.composites, ...model.ranges].map(
    ({ schema, name }) => ({ schema: mapping.schema(schema), name }),
  );
  const rows = context.tables.map((table) => mapping.table(table));
  const extensions = new Set(
    createExtensions ? model.extensions.map(({ schema }) => mapping.schema(schema)) : [],
  );
  const made = new Set([...own, ...rows].map(nameKey));
  return (name) => made.has(nameKey(name)) || extensions.has(name.schema);
}

async function refusal(target: Session, type: string): Promise<string | null> {
  try {
    // Not evaluated: a domain may refuse null.
    await target.query(`SELECT NULL::${type} WHERE false`);
    return null;
  } catch (thrown) {
    if (thrown instanceof PgError) return thrown.shown;
    throw thrown;
  }
}

async function keysNotKept({ source, tables, mapping }: CheckContext): Promise<Finding[]> {
  const changed = tables.flatMap((table) => {
    const columns = table.rootOid === null ? mapping.primaryKey(table) : null;
    return columns === null ? [] : [{ table, columns }];
  });
  if (changed.length === 0) return [];
  const unique = await readUniqueKeys(source);
  const isKept = ({ table, columns }: { readonly table: TableInfo; readonly columns: readonly string[] }) =>
    table.columns.every(({ name, notNull }) => notNull || !columns.includes(name)) &&
    (unique.get(nameKey(table)) ?? []).some((key) => key.columns.every((name) => columns.includes(name)));
  const open = changed.filter((one) => !isKept(one)).map(({ table }) => table);
  if (open.length === 0) return [];
  return [
    finding(NAME, 'alert', {
      what: `nothing keeps the new primary key of ${counted(open.length, 'table')} unique and not null on the source: a row that it refuses stops its table`,
      evidence: listedTables(open),
    }),
  ];
}
