/** The rights on the target: to create what is missing (our own bookkeeping schema at least), and to write what is there. */
import { nameKey } from '../../change/relation.ts';
import { ident, qname } from '../../pg/ident.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, finding, listed, listedTables, oidArray } from '../finding.ts';

export const targetRights: Check = {
  name: 'target_rights',
  async run(context) {
    const problems = [
      ...(await databaseProblem(context)),
      ...(context.types.has('schema') ? await schemaProblem(context) : await tableProblem(context)),
    ].map((details) => finding(this.name, 'failed', details));
    return problems.length > 0
      ? problems
      : [finding(this.name, 'passed', { what: 'the user has the rights it needs on the target' })];
  },
};

type Problem = Pick<Finding, 'what' | 'evidence'> & { readonly fix: string };

async function databaseProblem({ target, targetInfo }: CheckContext): Promise<Problem[]> {
  const { may } = await target.one(
    "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')::text AS may",
  );
  if (may === 'true') return [];
  const fix = `GRANT CREATE ON DATABASE ${ident(targetInfo.database)} TO ${ident(targetInfo.user)};`;
  return [
    {
      what: 'the user may not create schemas in the target database',
      evidence: `no CREATE on database "${targetInfo.database}"`,
      fix,
    },
  ];
}

/** Schemas that exist already must let us create in them: since PostgreSQL 15 `public` does not, by default. */
async function schemaProblem({ target, targetInfo, tables, mapping }: CheckContext): Promise<Problem[]> {
  const wanted = [...new Set(tables.map((table) => mapping.table(table).schema))];
  const rows = await target.query(
    `SELECT n.nspname AS name FROM pg_catalog.pg_namespace n
      WHERE n.nspname IN (SELECT pg_catalog.json_array_elements_text($1::json))
        AND NOT pg_catalog.has_schema_privilege(n.oid, 'CREATE')`,
    [JSON.stringify(wanted)],
  );
  if (rows.length === 0) return [];
  const names = rows.map(({ name }) => name ?? '');
  return [
    {
      what: `the user may not create tables in ${counted(names.length, 'schema')} of the target`,
      evidence: listed(names),
      fix: `GRANT USAGE, CREATE ON SCHEMA ${names.map(ident).join(', ')} TO ${ident(targetInfo.user)};`,
    },
  ];
}

async function tableProblem({
  target,
  targetInfo,
  tables,
  mapping,
  targetTables,
  types,
}: CheckContext): Promise<Problem[]> {
  const wanted = new Set(tables.map((table) => nameKey(mapping.table(table))));
  const existing = targetTables.filter((table) => wanted.has(nameKey(table)));
  const rights = types.has('incremental')
    ? ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']
    : ['SELECT', 'INSERT'];
  const rows = await target.query(
    `SELECT t.oid::text AS oid FROM pg_catalog.unnest($1::oid[]) AS t(oid)
      WHERE EXISTS (SELECT FROM pg_catalog.json_array_elements_text($2::json) AS p(name)
                     WHERE NOT pg_catalog.has_table_privilege(t.oid, p.name))`,
    [oidArray(existing), JSON.stringify(rights)],
  );
  if (rows.length === 0) return [];
  const refused = new Set(rows.map(({ oid }) => Number(oid)));
  const closed = existing.filter(({ oid }) => refused.has(oid));
  return [
    {
      what: `the user may not write ${counted(closed.length, 'table')} of the target`,
      evidence: listedTables(closed),
      fix: `GRANT ${rights.join(', ')} ON ${closed.map(qname).join(', ')} TO ${ident(targetInfo.user)};`,
    },
  ];
}
