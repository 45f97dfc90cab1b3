/** Whether the plan of the schema can be carried out: tables that the target cannot have, and what row-level security needs there. */
import { displayName, nameKey } from '../../change/relation.ts';
import { ident, qname } from '../../pg/ident.ts';
import { FirstModel } from '../../schema/first-model.ts';
import { mapModel } from '../../schema/map/map-model.ts';
import type { SchemaModel } from '../../schema/model.ts';
import { withPlainPartitions } from '../../schema/plain-partitions.ts';
import { judgeSchema, type SchemaJudgement, type SchemaScope } from '../../schema/plan.ts';
import type { TargetFacts } from '../../schema/target-facts.ts';
import { membership } from '../../selection/selection.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, excludeOption, finding, listed, listedTables } from '../finding.ts';

const NAME = 'schema_objects';

export const schemaObjects: Check = {
  name: NAME,
  async run(context) {
    const { source, target, types, mapping, firstModel = new FirstModel() } = context;
    if (!types.has('schema')) return [];
    const read = await firstModel.read(source);
    const model = context.partitions === 'plain' ? withPlainPartitions(read) : read;
    const facts = await firstModel.readFacts(source, target, context);
    const findings = [
      ...blockedTables(judgeSchema(await mapModel(model, mapping, source), scopeOf(context), facts), context),
      ...missingRoles(model, facts, context),
      ...forced(model, facts, context),
    ];
    return findings.length > 0
      ? findings
      : [finding(NAME, 'passed', { what: 'every selected table can be created on the target' })];
  },
};

function scopeOf({ tables, mapping, wholeDatabase }: CheckContext): SchemaScope {
  const wanted = tables.map((table) => mapping.table(table));
  return { includesTable: membership(wanted), wholeDatabase, done: new Set<string>() };
}

function blockedTables({ blocked }: SchemaJudgement, { tables, mapping }: CheckContext): Finding[] {
  if (blocked.length === 0) return [];
  const names = new Set(blocked.map(({ table }) => nameKey(table)));
  const chosen = tables.filter((table) => names.has(nameKey(mapping.table(table))));
  return [
    finding(NAME, 'failed', {
      what: `the target cannot have ${counted(blocked.length, 'table')}`,
      evidence: listed(blocked.map(({ table, reason }) => `${displayName(table)} (${reason})`)),
      fix: `# give the target what they need, or leave them out\n${chosen.map(excludeOption).join(' ')}`,
    }),
  ];
}

/** Roles belong to a server and are not migrated. */
function missingRoles(
  { policies, tables: models }: SchemaModel,
  { roles }: TargetFacts,
  { tables, rights }: CheckContext,
): Finding[] {
  // To be created, or listed with all others (owners-and-rights.ts).
  if (rights?.createRoles) return [];
  const isSelected = membership(tables);
  const selected = new Set(models.filter(({ info }) => isSelected(info)).map(({ key }) => key));
  const absent = new Set(
    policies
      .filter(({ table }) => selected.has(table))
      .flatMap((policy) => policy.roles.filter((role) => !roles.has(role))),
  );
  if (absent.size === 0) return [];
  return [
    finding(NAME, 'alert', {
      what: 'policies name roles that the target lacks; for these they are left out',
      evidence: listed([...absent]),
      fix: [...absent].map((role) => `CREATE ROLE ${ident(role)};`).join('\n'),
    }),
  ];
}

function forced(
  { tables: models }: SchemaModel,
  { bypassesRowSecurity }: TargetFacts,
  { tables, targetInfo }: CheckContext,
): Finding[] {
  const isSelected = membership(tables);
  const found = models.filter(({ info, definition }) => isSelected(info) && definition.forcedRowSecurity);
  if (found.length === 0 || bypassesRowSecurity) return [];
  const infos = found.map(({ info }) => info);
  return [
    finding(NAME, 'alert', {
      what: `${counted(infos.length, 'table')} with forced row-level security: it is switched on, but not forced, because the account would not see their rows any more`,
      evidence: listedTables(infos),
      fix: [
        `ALTER ROLE ${ident(targetInfo.user)} BYPASSRLS;   -- before the migration; or after it:`,
        ...infos.map((table) => `ALTER TABLE ${qname(table)} FORCE ROW LEVEL SECURITY;`),
      ].join('\n'),
    }),
  ];
}
