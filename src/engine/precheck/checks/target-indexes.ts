/** What the user's own target tables carry that every copied row pays for. It is kept as it is; the choice is the user's. */
import { displayName, nameKey } from '../../change/relation.ts';
import { readFiringTables } from '../../pg/catalog/tables/firing-tables.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import { qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, finding, listed, listedTables, oidArray } from '../finding.ts';
import { mayKeepQuiet } from '../replica-role.ts';

/** A target table that is not bare, and the source table whose rows it gets. */
interface Burdened {
  readonly source: TableInfo;
  readonly indexes: number;
  readonly foreignKeys: number;
  readonly triggers: number;
  /** Indexes that nothing rests on: no constraint, and rows are not found again by them. */
  readonly plain: readonly { readonly name: string; readonly definition: string }[];
}

export const targetIndexes: Check = {
  name: 'target_indexes',
  async run(context) {
    const { types, target } = context;
    if (types.has('schema') || !types.has('full')) return [];
    const burdened = (await readBurdens(context))
      .filter(({ plain, foreignKeys, triggers }) => plain.length + foreignKeys + triggers > 0)
      .toSorted((a, b) => (a.source.bytes < b.source.bytes ? 1 : -1));
    if (burdened.length === 0)
      return [finding(this.name, 'passed', { what: 'the target tables carry nothing but their keys' })];
    const firing = await readFiringTables(target, await mayKeepQuiet(target));
    return [describe(burdened, (table) => firing.has(nameKey(context.mapping.table(table))))];
  },
};

function describe(burdened: readonly Burdened[], fires: (table: TableInfo) => boolean): Finding {
  const firing = burdened.map(({ source }) => source).filter(fires);
  const fire =
    firing.length === 0
      ? 'foreign keys and triggers do not fire meanwhile'
      : `foreign keys or triggers fire for each row of ${listedTables(firing)}`;
  const plain = burdened.flatMap((one) => one.plain);
  return finding(targetIndexes.name, 'alert', {
    what: `each row that is copied into ${counted(burdened.length, 'table')} of the target maintains all indexes there, which can take longer than the row itself; ${fire}. All are kept as they are`,
    evidence: listed(burdened.map(burden)),
    ...(plain.length === 0 ? {} : { fix: dropAndCreate(plain) }),
  });
}

function burden({ source, indexes, foreignKeys, triggers }: Burdened): string {
  const rows = source.estimatedRows < 0 ? 'not analyzed' : `~${Math.round(source.estimatedRows)} rows`;
  const parts = [
    indexes === 0 ? '' : `${indexes} index${indexes === 1 ? '' : 'es'}`,
    foreignKeys === 0 ? '' : counted(foreignKeys, 'foreign key'),
    triggers === 0 ? '' : counted(triggers, 'trigger'),
  ].filter((part) => part !== '');
  return `${displayName(source)} (~${Math.ceil(Number(source.bytes) / 1e6)} MB, ${rows}): ${parts.join(', ')}`;
}

/** Pasted as it is, it drops; what comes back afterwards stands in comments. */
function dropAndCreate(plain: Burdened['plain']): string {
  return [
    '-- for a faster copy, drop them before it on the target',
    ...plain.map(({ name }) => `DROP INDEX ${name};`),
    '-- and create them again when the copy is done:',
    ...plain.map(({ definition }) => `-- ${definition};`),
  ].join('\n');
}

async function readBurdens({ tables, targetTables, mapping, target }: CheckContext): Promise<Burdened[]> {
  const present = new Map(targetTables.map((table) => [nameKey(table), table]));
  const pairs = tables.flatMap((source) => {
    const into = present.get(nameKey(mapping.table(source)));
    return into?.kind === 'r' ? [{ source, oid: into.oid }] : [];
  });
  const found = new Map((await readCounts(target, pairs)).map((row) => [Number(row.oid), row]));
  const plain = Map.groupBy(await readPlainIndexes(target, pairs), (row) => Number(row.oid));
  return pairs.map(({ source, oid }) => {
    const row = found.get(oid);
    return {
      source,
      indexes: Number(row?.indexes ?? 0),
      foreignKeys: Number(row?.foreign_keys ?? 0),
      triggers: Number(row?.triggers ?? 0),
      plain: (plain.get(oid) ?? []).map(({ schema, name, definition }) => ({
        name: qname({ schema: schema ?? '', name: name ?? '' }),
        definition: definition ?? '',
      })),
    };
  });
}

function readCounts(target: Session, pairs: readonly { oid: number }[]) {
  return target.query(
    `SELECT t.oid::text AS oid,
            (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = t.oid)::text AS indexes,
            (SELECT count(*) FROM pg_catalog.pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'f')::text AS foreign_keys,
            (SELECT count(*) FROM pg_catalog.pg_trigger g
              WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D')::text AS triggers
       FROM pg_catalog.unnest($1::oid[]) AS t(oid)`,
    [oidArray(pairs)],
  );
}

/** Those of partitions come from their partitioned table, and go only with its index. */
function readPlainIndexes(target: Session, pairs: readonly { oid: number }[]) {
  return target.query(
    `SELECT i.indrelid::text AS oid, n.nspname AS schema, c.relname AS name,
            pg_catalog.pg_get_indexdef(i.indexrelid) AS definition
       FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE i.indrelid = ANY ($1::oid[]) AND NOT i.indisunique AND NOT i.indisprimary AND NOT i.indisreplident
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid)
      ORDER BY pg_catalog.pg_relation_size(i.indexrelid) DESC, c.relname`,
    [oidArray(pairs)],
  );
}
