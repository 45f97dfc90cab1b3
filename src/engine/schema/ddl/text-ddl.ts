/** Drafts of collations and conversions. */
import type { CollationInfo } from '../../pg/catalog/text/collations.ts';
import { literal, qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

export function collationDrafts(context: DraftContext): Draft[] {
  const { model, target } = context;
  return model.collations.flatMap((collation) => {
    const { key } = collation;
    const id = objectId('collation', collation.schema, collation.name);
    const reason = unacceptable(collation, target.version) ?? target.refused.get(key);
    if (reason !== undefined) {
      context.leaveOut(id, reason, key);
      return [];
    }
    return [
      draft({
        key,
        id,
        create: [collationSql(collation, target.version)],
        after: commentsOn(context, key, `COLLATION ${qname(collation)}`),
      }),
    ];
  });
}

function unacceptable(
  { provider, deterministic, rules }: CollationInfo,
  targetVersion: number,
): string | undefined {
  if (provider === 'builtin' && targetVersion < 170_000)
    return 'collations of the server itself need PostgreSQL 17 on the target';
  if (rules !== null && targetVersion < 160_000) return 'RULES need PostgreSQL 16 on the target';
  if (!deterministic && targetVersion < 120_000)
    return 'nondeterministic collations need PostgreSQL 12 on the target';
  return undefined;
}

/** Without its version, which is that of the library on the machine. */
export function collationSql(collation: CollationInfo, targetVersion: number): string {
  const { provider, collate, ctype, deterministic, rules } = collation;
  const parts = [
    `PROVIDER = ${provider}`,
    ...(collate === ctype
      ? [`LOCALE = ${literal(collate)}`]
      : [`LC_COLLATE = ${literal(collate)}`, `LC_CTYPE = ${literal(ctype)}`]),
    ...(deterministic || targetVersion < 120_000 ? [] : ['DETERMINISTIC = false']),
    ...(rules === null ? [] : [`RULES = ${literal(rules)}`]),
  ];
  return `CREATE COLLATION ${qname(collation)} (${parts.join(', ')})`;
}

export function conversionDrafts(context: DraftContext): Draft[] {
  return context.model.conversions.map((conversion) => {
    const { key, from, to, isDefault } = conversion;
    return draft({
      key,
      id: objectId('conversion', conversion.schema, conversion.name),
      create: [
        `CREATE ${isDefault ? 'DEFAULT ' : ''}CONVERSION ${qname(conversion)} FOR ${literal(from)} TO ${literal(to)} FROM ${conversion.function}`,
      ],
      after: commentsOn(context, key, `CONVERSION ${qname(conversion)}`),
    });
  });
}
