/** Drafts of schemas, enums, composites, domains and ranges. */
import type { DomainInfo } from '../../pg/catalog/types/domains.ts';
import type { RangeInfo } from '../../pg/catalog/types/ranges.ts';
import { ident, literal, qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

/** CREATE SCHEMA IF NOT EXISTS: `public` is on every target, and another schema there does no harm. */
export function schemaDrafts(context: DraftContext): Draft[] {
  return context.model.schemas.map(({ key, name }) =>
    draft({
      key,
      id: objectId('schema', name),
      create: [
        `CREATE SCHEMA IF NOT EXISTS ${ident(name)}`,
        ...commentsOn(context, key, `SCHEMA ${ident(name)}`),
      ],
    }),
  );
}

export function typeDrafts(context: DraftContext): Draft[] {
  const { enums, composites, domains, ranges } = context.model;
  return [
    ...enums.map((type) =>
      draft({
        key: type.key,
        id: objectId('type', type.schema, type.name),
        create: [
          `CREATE TYPE ${qname(type)} AS ENUM (${type.labels.map((label) => literal(label)).join(', ')})`,
        ],
        after: commentsOn(context, type.key, `TYPE ${qname(type)}`),
      }),
    ),
    ...composites.map((type) => {
      const attributes = type.attributes.map(
        ({ name, type: attributeType, collation }) =>
          `${ident(name)} ${attributeType}${collation === null ? '' : ` COLLATE ${collation}`}`,
      );
      const comments = type.attributes.flatMap(({ name, comment }) =>
        comment === null ? [] : [`COMMENT ON COLUMN ${qname(type)}.${ident(name)} IS ${literal(comment)}`],
      );
      return draft({
        key: type.key,
        id: objectId('type', type.schema, type.name),
        create: [`CREATE TYPE ${qname(type)} AS (${attributes.join(', ')})`],
        after: [...commentsOn(context, type.key, `TYPE ${qname(type)}`), ...comments],
      });
    }),
    ...domains.flatMap((domain) => domainDrafts(domain, context)),
    ...ranges.map((range) => rangeDraft(range, context)),
  ];
}

/** A constraint that is NOT VALID waits until after the data: even so it would refuse new rows, and the old ones are new on the target. */
function domainDrafts(domain: DomainInfo, context: DraftContext): Draft[] {
  const name = qname(domain);
  const collate = domain.collation === null ? '' : ` COLLATE ${domain.collation}`;
  const byDefault = domain.defaultValue === null ? '' : ` DEFAULT ${domain.defaultValue}`;
  // Before PostgreSQL 17 its name is read and forgotten.
  const notNullConstraint = context.targetVersion >= 170_000 ? domain.notNullConstraint : null;
  const notNull = domain.notNull
    ? `${notNullConstraint ? ` CONSTRAINT ${ident(notNullConstraint.name)}` : ''} NOT NULL`
    : '';
  const pieces = domain.checks.map((check) => ({
    key: check.key,
    id: objectId('check constraint', domain.schema, domain.name, check.name),
    on: `ALTER DOMAIN ${name}`,
    onLater: `ALTER DOMAIN ${name}`,
    command: `ADD CONSTRAINT ${ident(check.name)} ${check.definition}`,
    joins: false,
    after: commentsOn(context, check.key, `CONSTRAINT ${ident(check.name)} ON DOMAIN ${name}`),
    validated: check.validated,
  }));
  return [
    draft({
      key: domain.key,
      id: objectId('domain', domain.schema, domain.name),
      create: [`CREATE DOMAIN ${name} AS ${domain.baseType}${collate}${byDefault}${notNull}`],
      pieces: pieces.filter((piece) => piece.validated),
      after: [
        ...commentsOn(context, domain.key, `DOMAIN ${name}`),
        ...(notNullConstraint
          ? commentsOn(
              context,
              notNullConstraint.key,
              `CONSTRAINT ${ident(notNullConstraint.name)} ON DOMAIN ${name}`,
            )
          : []),
      ],
    }),
    ...pieces
      .filter((piece) => !piece.validated)
      .map((piece) =>
        draft({
          key: piece.key,
          id: piece.id,
          phase: 'post-data',
          create: [`${piece.on} ${piece.command}`, ...piece.after],
          attachedTo: domain.key,
        }),
      ),
  ];
}

function rangeDraft(range: RangeInfo, context: DraftContext): Draft {
  const { multirange } = range;
  const hasMultirange = multirange !== null && context.targetVersion >= 140_000;
  if (multirange !== null && !hasMultirange)
    context.lack(objectId('multirange type', multirange.schema, multirange.name), multirange.key);
  const parts = [
    `SUBTYPE = ${range.subtype}`,
    ...(range.operatorClass === null ? [] : [`SUBTYPE_OPCLASS = ${range.operatorClass}`]),
    ...(range.collation === null ? [] : [`COLLATION = ${range.collation}`]),
    ...(range.difference === null ? [] : [`SUBTYPE_DIFF = ${range.difference}`]),
    ...(hasMultirange ? [`MULTIRANGE_TYPE_NAME = ${qname(multirange)}`] : []),
  ];
  const id = objectId('type', range.schema, range.name);
  // Only C code can take a type that does not exist yet, so a canonical function of the user is a C function.
  if (range.canonical !== null)
    context.leaveOut(
      `canonical function ${range.canonical} of ${id}`,
      'its code is in a library of the source server',
    );
  return draft({
    key: range.key,
    id,
    create: [`CREATE TYPE ${qname(range)} AS RANGE (${parts.join(', ')})`],
    after: [
      ...commentsOn(context, range.key, `TYPE ${qname(range)}`),
      ...(hasMultirange ? commentsOn(context, multirange.key, `TYPE ${qname(multirange)}`) : []),
    ],
  });
}
