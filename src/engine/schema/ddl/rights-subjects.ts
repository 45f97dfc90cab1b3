/** What can have an owner and rights, by the words with which ALTER … OWNER TO and GRANT name it. */
import type { AggregateInfo } from '../../pg/catalog/aggregates.ts';
import type { SequenceInfo } from '../../pg/catalog/sequences.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident, qname } from '../../pg/ident.ts';
import type { DraftContext } from '../draft.ts';
import { sequencesByColumn } from '../owned-sequences.ts';
import { operatorName } from './operator-ddl.ts';
import { aggregateName, routineName } from './routine-ddl.ts';

export interface Subject {
  readonly key: ObjectKey;
  /** The object in whose step it is made: itself, or the table of an identity column. */
  readonly of: ObjectKey;
  /** `TABLE "s"."t"` for ALTER; several where one does not follow the other, none where the owner is that of something else. */
  readonly altered: readonly string[];
  /** The same for GRANT; null where nothing can be granted. */
  readonly granted: string | null;
  /** The schema that it is in, or is. */
  readonly schema: string;
  readonly isSchema: boolean;
  /** Its owner is that of this table. */
  readonly ownedWith: ObjectKey | null;
  /** The name of a column as the target has it. */
  columnName?(attnum: number): string | undefined;
}

interface Parts {
  readonly key: ObjectKey;
  readonly schema: string;
}

function subject(one: Parts, altered: string, granted: string | null = altered): Subject {
  const { key, schema } = one;
  return { key, of: key, altered: [altered], granted, schema, isSchema: false, ownedWith: null };
}

/**
 * Those that are made in one step together, in the order in which their rights are set: who owns a schema, or may create in it, may own what
 * is there.
 */
export function* subjectGroups(context: DraftContext): Generator<readonly Subject[]> {
  const { model } = context;
  for (const { key, name } of model.schemas)
    yield [{ ...subject({ key, schema: name }, `SCHEMA ${ident(name)}`), isSchema: true }];
  for (const one of typeSubjects(context)) yield [one];
  yield* relationSubjects(context);
  for (const one of model.routines) yield [subject(one, routineName(one))];
  for (const one of model.aggregates) yield [aggregateSubject(one, context)];
  for (const one of ungrantable(context)) yield [one];
}

function typeSubjects({ model, targetVersion }: DraftContext): Subject[] {
  return [
    ...[...model.enums, ...model.composites].map((one) => subject(one, `TYPE ${qname(one)}`)),
    ...model.domains.map((one) => subject(one, `DOMAIN ${qname(one)}`, `TYPE ${qname(one)}`)),
    ...model.ranges.map((one): Subject => {
      const range = subject(one, `TYPE ${qname(one)}`);
      // Since PostgreSQL 17 a multirange goes with its range.
      const isApart = one.multirange !== null && targetVersion >= 140_000 && targetVersion < 170_000;
      return isApart ? { ...range, altered: [...range.altered, `TYPE ${qname(one.multirange)}`] } : range;
    }),
  ];
}

/** A sequence of a column after its table, which takes it along to its owner; that of an identity column with it. */
function* relationSubjects(context: DraftContext): Generator<readonly Subject[]> {
  const { model } = context;
  const sequences = sequencesByColumn(model);
  for (const { key, info, definition } of model.tables) {
    if (!context.isSelected(key)) continue;
    const identities = sequences.of(key).filter(({ isIdentity }) => isIdentity);
    yield [
      {
        ...subject({ key, schema: info.schema }, `TABLE ${qname(info)}`),
        columnName: (attnum) => definition.columns.find((column) => column.attnum === attnum)?.name,
      },
      ...identities.map((one): Subject => ({ ...sequenceSubject(one, key), of: key })),
    ];
  }
  for (const one of model.views)
    yield [
      {
        ...subject(
          one,
          `${one.isMaterialized ? 'MATERIALIZED VIEW' : 'VIEW'} ${qname(one)}`,
          `TABLE ${qname(one)}`,
        ),
        // A view never loses a column.
        columnName: (attnum) => one.columns[attnum - 1]?.name,
      },
    ];
  for (const one of model.sequences) {
    const table = one.owner && context.isSelected(one.owner.table) ? one.owner.table : null;
    if (table === null || !one.isIdentity) yield [sequenceSubject(one, table)];
  }
}

function sequenceSubject(one: SequenceInfo, table: ObjectKey | null): Subject {
  const alone = subject(one, `SEQUENCE ${qname(one)}`);
  return table === null ? alone : { ...alone, altered: [], ownedWith: table };
}

function ungrantable(context: DraftContext): Subject[] {
  const { model } = context;
  const { families, classes } = model.operatorClasses;
  const { dictionaries, configurations } = model.textSearch;
  return [
    ...model.operators.map((one) => subject(one, operatorName(one, context), null)),
    ...families.map((one) => subject(one, `OPERATOR FAMILY ${qname(one)} USING ${ident(one.method)}`, null)),
    ...classes.map((one) => subject(one, `OPERATOR CLASS ${qname(one)} USING ${ident(one.method)}`, null)),
    ...model.collations.map((one) => subject(one, `COLLATION ${qname(one)}`, null)),
    ...model.conversions.map((one) => subject(one, `CONVERSION ${qname(one)}`, null)),
    ...dictionaries.map((one) => subject(one, `TEXT SEARCH DICTIONARY ${qname(one)}`, null)),
    ...configurations.map((one) => subject(one, `TEXT SEARCH CONFIGURATION ${qname(one)}`, null)),
    ...model.statistics.map((one) => subject(one, `STATISTICS ${qname(one)}`, null)),
  ];
}

/** GRANT knows aggregates as functions, with all their arguments in one list. */
function aggregateSubject(one: AggregateInfo, context: DraftContext): Subject {
  const called = aggregateName(one, context);
  const name = qname(one);
  const args = called.slice(`AGGREGATE ${name}(`.length, -1);
  return subject(one, called, `FUNCTION ${name}(${inOneList(args)})`);
}

function inOneList(args: string): string {
  if (args === '*') return '';
  const [, direct = '', ordered] = /^((?:[^"]|"(?:[^"]|"")*")*?) ?\bORDER BY (.*)$/s.exec(args) ?? [];
  if (ordered === undefined) return args;
  if (direct === '') return ordered;
  // What a hypothetical-set aggregate takes once stands there twice.
  return /\bVARIADIC\b/.test(direct) ? direct : `${direct}, ${ordered}`;
}
