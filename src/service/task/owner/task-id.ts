/** Which task it is: equal databases and options are one task, which whoever runs it goes on with (decision 3). Pure. */
import { createHash } from 'node:crypto';
import { OPERATIONS } from '../../../contract/task-spec.ts';
import type { DatabaseIdentity } from '../../../engine/pg/identity.ts';
import { ruleWords } from '../request/rule-words.ts';
import { startText } from '../source/start-position.ts';
import type { MigrationRequest } from '../task-run.ts';

/** What was asked for, without connections, in one form: equal options give equal text. */
export function canonicalOptions(
  request: Pick<
    MigrationRequest,
    | 'types'
    | 'tables'
    | 'excludeTables'
    | 'rename'
    | 'capitalization'
    | 'excludeColumns'
    | 'columnTypes'
    | 'primaryKeys'
    | 'partitions'
    | 'operations'
    | 'rules'
    | 'conflict'
    | 'publication'
    | 'decoder'
    | 'start'
  >,
): string {
  const { start, decoder = 'auto' } = request;
  const sorted = (record: Readonly<Record<string, string>> = {}) =>
    Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const [rename, columnTypes, primaryKeys] = [
    sorted(request.rename),
    sorted(request.columnTypes),
    sorted(request.primaryKeys),
  ];
  const operations = OPERATIONS.filter((operation) => request.operations.includes(operation));
  const { tableOperations, filter } = ruleWords(request.rules);
  return JSON.stringify({
    types: [...request.types].toSorted(),
    tables: request.tables.toSorted(),
    excludeTables: request.excludeTables.toSorted(),
    ...(rename.length > 0 ? { rename } : {}),
    ...(request.capitalization === 'source' ? {} : { capitalization: request.capitalization }),
    ...(request.excludeColumns.length > 0 ? { excludeColumns: request.excludeColumns.toSorted() } : {}),
    ...(columnTypes.length > 0 ? { columnTypes } : {}),
    ...(primaryKeys.length > 0 ? { primaryKeys } : {}),
    ...(request.partitions === 'plain' ? { partitions: request.partitions } : {}),
    ...(operations.length < OPERATIONS.length ? { operations } : {}),
    ...(tableOperations.length > 0 ? { tableOperations } : {}),
    ...(filter.length > 0 ? { filter } : {}),
    ...(request.conflict === 'report' ? {} : { conflict: request.conflict }),
    ...(request.publication === undefined ? {} : { publication: request.publication }),
    ...(decoder === 'auto' ? {} : { decoder }),
    ...(start ? { start: startText(start) } : {}),
  });
}

/** The same databases and options give the same task, on whichever machine it is run: so running again resumes. */
export function taskIdOf(source: DatabaseIdentity, target: DatabaseIdentity, options: string): string {
  const parts = [source.systemIdentifier, source.database, target.systemIdentifier, target.database, options];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 10);
}
