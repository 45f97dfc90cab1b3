/** Reads the model of a source: a fixed number of statements, whatever the number of objects. */
import { readAggregates } from '../pg/catalog/aggregates.ts';
import { readBuiltinNames } from '../pg/catalog/builtin-names.ts';
import { readComments } from '../pg/catalog/comments.ts';
import { readComposites } from '../pg/catalog/types/composites.ts';
import { readConstraints } from '../pg/catalog/constraints/constraints.ts';
import { readDependencies } from '../pg/catalog/dependencies.ts';
import { readDomains } from '../pg/catalog/types/domains.ts';
import { readEnums } from '../pg/catalog/types/enums.ts';
import { readExtendedStatistics } from '../pg/catalog/constraints/extended-statistics.ts';
import { readExtensionMembers } from '../pg/catalog/extensions/extension-members.ts';
import { readExtensions } from '../pg/catalog/extensions/extensions.ts';
import { readIndexes } from '../pg/catalog/constraints/indexes.ts';
import { readNotMigrated } from '../pg/catalog/not-migrated.ts';
import { readCasts } from '../pg/catalog/operators/casts.ts';
import { readOperatorClasses } from '../pg/catalog/operators/operator-classes.ts';
import { readOperators } from '../pg/catalog/operators/operators.ts';
import { readPolicies } from '../pg/catalog/policies.ts';
import { readRanges } from '../pg/catalog/types/ranges.ts';
import { readRights } from '../pg/catalog/rights/rights.ts';
import { readRoutines } from '../pg/catalog/routines.ts';
import { readRules } from '../pg/catalog/rules.ts';
import { readSchemas } from '../pg/catalog/schemas.ts';
import { readSequences } from '../pg/catalog/sequences.ts';
import { readTableDefinitions } from '../pg/catalog/tables/table-definitions.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import { readCollations } from '../pg/catalog/text/collations.ts';
import { readConversions } from '../pg/catalog/text/conversions.ts';
import { readTextSearch } from '../pg/catalog/text/text-search.ts';
import { readTriggers } from '../pg/catalog/triggers.ts';
import { sharedTexts } from '../pg/catalog/shared.ts';
import { readViews } from '../pg/catalog/views.ts';
import type { Session } from '../pg/session.ts';
import type { SchemaModel, TableModel } from './model.ts';

/**
 * The whole user schema of the session's database. The session must have an empty search_path (connect.ts sets it), or the
 * server would write names unqualified. Statements are not tied together here: the caller may have opened a REPEATABLE READ
 * transaction for that.
 */
export async function readModel(session: Session): Promise<SchemaModel> {
  const text = sharedTexts();
  return {
    version: session.version,
    schemas: await readSchemas(session),
    enums: await readEnums(session),
    domains: await readDomains(session),
    composites: await readComposites(session),
    ranges: await readRanges(session),
    sequences: await readSequences(session, text),
    tables: await readTableModels(session, text),
    constraints: await readConstraints(session, text),
    indexes: await readIndexes(session, text),
    views: await readViews(session),
    routines: await readRoutines(session),
    aggregates: await readAggregates(session),
    triggers: await readTriggers(session),
    rules: await readRules(session),
    operators: await readOperators(session),
    operatorClasses: await readOperatorClasses(session),
    casts: await readCasts(session),
    collations: await readCollations(session),
    conversions: await readConversions(session),
    textSearch: await readTextSearch(session),
    statistics: await readExtendedStatistics(session),
    policies: await readPolicies(session),
    comments: await readComments(session, text),
    rights: await readRights(session, text),
    dependencies: await readDependencies(session, text),
    extensions: await readExtensions(session),
    extensionMembers: await readExtensionMembers(session),
    builtins: await readBuiltinNames(session),
    notMigrated: await readNotMigrated(session),
    unwritable: new Map(),
    toLookAt: new Map(),
    lostInMerging: [],
  };
}

/** A table created or dropped between the two readings is left out. */
async function readTableModels(session: Session, text: (value: string) => string): Promise<TableModel[]> {
  const tables = await readTables(session, { text });
  const infos = new Map(tables.map((info) => [text(`pg_class:${info.oid}`), info]));
  const definitions = await readTableDefinitions(session, text);
  return definitions.flatMap((definition) => {
    const info = infos.get(definition.key);
    return info ? [{ key: definition.key, info, definition }] : [];
  });
}
