/** Types, routines, operators and all that is no table, under the names of the target: another schema, and other names in their texts. Pure. */
import type { RoutineInfo } from '../../pg/catalog/routines.ts';
import type { OperatorFamilyInfo } from '../../pg/catalog/operators/operator-classes.ts';
import type { SchemaModel } from '../model.ts';
import type { Texts } from './texts.ts';

type OfNoTables = Pick<
  SchemaModel,
  | 'enums'
  | 'domains'
  | 'composites'
  | 'ranges'
  | 'views'
  | 'routines'
  | 'aggregates'
  | 'operators'
  | 'operatorClasses'
  | 'casts'
  | 'collations'
  | 'conversions'
  | 'textSearch'
  | 'extensions'
  | 'rights'
>;

const maybe = <T>(text: T | null, how: (text: T) => T): T | null => (text === null ? null : how(text));

export function mapObjects(model: SchemaModel, texts: Texts): OfNoTables {
  const { map } = texts;
  const { types, schemas } = texts.names;
  const moved = <T extends { readonly schema: string }>(one: T): T => ({
    ...one,
    schema: map.schema(one.schema),
  });
  const { families, classes, members } = model.operatorClasses;
  const { dictionaries, configurations } = model.textSearch;
  return {
    ...mapTypes(model, texts),
    views: model.views.map((one) => ({
      ...one,
      ...map.relation(one),
      query: texts.rewrite(one.key, one.query, (rewriter, sql) => rewriter.query(sql)),
      columns: one.columns.map((column) => ({
        ...column,
        type: types(column.type),
        collation: maybe(column.collation, schemas),
      })),
      defaults: one.defaults.map((value) => ({
        ...value,
        expression: texts.rewrite(value.key, value.expression, (rewriter, sql) => rewriter.expression(sql)),
      })),
    })),
    routines: model.routines.map((one) => mapRoutine(moved(one), texts)),
    aggregates: model.aggregates.map((one) => ({
      ...moved(one),
      arguments: types(one.arguments),
      identityArguments: types(one.identityArguments),
      parameters: one.parameters.map((text) => (/^M?STYPE /.test(text) ? types(text) : schemas(text))),
    })),
    operators: model.operators.map((one) => ({
      ...moved(one),
      leftType: maybe(one.leftType, types),
      rightType: maybe(one.rightType, types),
      function: schemas(one.function),
      commutator: maybe(one.commutator, (link) => ({ ...link, name: schemas(link.name) })),
      negator: maybe(one.negator, (link) => ({ ...link, name: schemas(link.name) })),
      restrict: maybe(one.restrict, schemas),
      join: maybe(one.join, schemas),
    })),
    operatorClasses: {
      families: families.map(moved),
      classes: classes.map((one) => ({
        ...moved(one),
        type: types(one.type),
        family: schemas(one.family),
        storage: maybe(one.storage, types),
      })),
      members: members.map((one) => ({
        ...one,
        family: moved<OperatorFamilyInfo>(one.family),
        sql: schemas(one.sql),
      })),
    },
    casts: model.casts.map((one) => ({
      ...one,
      from: types(one.from),
      to: types(one.to),
      by: typeof one.by === 'string' ? one.by : { function: types(one.by.function) },
    })),
    collations: model.collations.map(moved),
    conversions: model.conversions.map((one) => ({ ...moved(one), function: schemas(one.function) })),
    textSearch: {
      dictionaries: dictionaries.map((one) => ({
        ...moved(one),
        template: schemas(one.template),
        options: maybe(one.options, schemas),
      })),
      configurations: configurations.map((one) => ({
        ...moved(one),
        parser: schemas(one.parser),
        mappings: one.mappings.map((mapping) => ({
          ...mapping,
          dictionaries: mapping.dictionaries.map(schemas),
        })),
      })),
    },
    extensions: model.extensions.map(moved),
    rights: {
      ...model.rights,
      settings: model.rights.settings.map((one) =>
        one.name === 'search_path' ? { ...one, value: texts.names.searchPath(one.value) } : one,
      ),
    },
  };
}

function mapTypes(
  model: SchemaModel,
  texts: Texts,
): Pick<SchemaModel, 'enums' | 'domains' | 'composites' | 'ranges'> {
  const { map } = texts;
  const { types, schemas } = texts.names;
  const schema = (one: { readonly schema: string }) => ({ schema: map.schema(one.schema) });
  return {
    enums: model.enums.map((one) => ({ ...one, ...schema(one) })),
    composites: model.composites.map((one) => ({
      ...one,
      ...schema(one),
      attributes: one.attributes.map((attribute) => ({
        ...attribute,
        type: types(attribute.type),
        collation: maybe(attribute.collation, schemas),
      })),
    })),
    domains: model.domains.map((one) => ({
      ...one,
      ...schema(one),
      baseType: types(one.baseType),
      collation: maybe(one.collation, schemas),
      defaultValue: maybe(one.defaultValue, (text) =>
        texts.rewrite(one.key, text, (rewriter, sql) => rewriter.expression(sql)),
      ),
      checks: one.checks.map((check) => ({
        ...check,
        definition: texts.rewrite(check.key, check.definition, (rewriter, sql) => rewriter.constraint(sql)),
      })),
    })),
    ranges: model.ranges.map((one) => ({
      ...one,
      ...schema(one),
      subtype: types(one.subtype),
      operatorClass: maybe(one.operatorClass, schemas),
      collation: maybe(one.collation, schemas),
      canonical: maybe(one.canonical, schemas),
      difference: maybe(one.difference, schemas),
      multirange: maybe(one.multirange, (multirange) => ({ ...multirange, ...schema(multirange) })),
    })),
  };
}

/** A body that cannot be read as SQL goes over as it is; the lines that speak of other names are told. */
function mapRoutine(routine: RoutineInfo, texts: Texts): RoutineInfo {
  const { key } = routine;
  const look = (reason: string) => {
    const body = bodyOf(routine.definition);
    const before = routine.definition.slice(0, -body.length).split('\n').length - 1;
    const lines = texts.changed.linesIn(body).map((line) => line + before);
    const where = lines.length === 1 ? `line ${lines[0]}` : `lines ${lines.join(', ')}`;
    texts.looks.set(key, { part: 'body', reason: `${reason}: look at ${where} of its definition` });
  };
  const definition = texts.rewrite(key, routine.definition, (rewriter, sql) => {
    const rewritten = rewriter.routine(sql);
    if (rewritten.look !== null) look(`it is as it was, because ${rewritten.look}`);
    else if (routine.language !== 'sql' && texts.changed.areIn(bodyOf(sql)))
      look(`in ${routine.language}, it is as it was, and may mention names that are others on the target`);
    return rewritten.sql;
  });
  return { ...routine, identityArguments: texts.names.types(routine.identityArguments), definition };
}

/** What stands behind AS. */
function bodyOf(definition: string): string {
  return definition.slice(Math.max(0, definition.search(/^AS /m)));
}
