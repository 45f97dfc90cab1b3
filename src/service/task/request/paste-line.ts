/** The command to run next, ready to paste: the options of this run, connection strings without passwords. */
import { MIGRATION_TYPES, OPERATIONS } from '../../../contract/task-spec.ts';
import { redactConninfo } from '../../../engine/pg/conninfo/conninfo.ts';
import { shellWord } from '../../../base/runtime/shell-word.ts';
import { ruleWords } from './rule-words.ts';
import { startText } from '../source/start-position.ts';
import type { MigrationRequest } from '../task-run.ts';

export type Asked = Pick<
  MigrationRequest,
  | 'source'
  | 'target'
  | 'types'
  | 'tables'
  | 'excludeTables'
  | 'rename'
  | 'capitalization'
  | 'excludeColumns'
  | 'columnTypes'
  | 'primaryKeys'
  | 'createExtensions'
  | 'partitions'
  | 'operations'
  | 'rules'
  | 'conflict'
  | 'heartbeat'
  | 'captureDdl'
  | 'ddl'
  | 'replicaIdentity'
  | 'owners'
  | 'grants'
  | 'createRoles'
  | 'publication'
  | 'decoder'
  | 'start'
>;

type Verb =
  | 'check'
  | 'migrate'
  | 'verify'
  | 'cleanup'
  | 'dead-letters list'
  | 'schema report'
  | 'schema edit'
  | 'schema skip';

/** `opendts <verb> --source … --target …`, with the types and the choice of tables where the verb takes them. */
export function pasteLine(verb: Verb, task: Asked): string {
  const ends = ['--source', redactConninfo(task.source), '--target', redactConninfo(task.target)];
  const kinds = ['--types', MIGRATION_TYPES.filter((type) => task.types.has(type)).join(',')];
  const tables = task.tables.length > 0 ? ['--table', ...task.tables] : [];
  const excluded = task.excludeTables.length > 0 ? ['--exclude-table', ...task.excludeTables] : [];
  const pairs = (option: string, record: Readonly<Record<string, string>> = {}) => {
    const entries = Object.entries(record).map(([from, to]) => `${from}=${to}`);
    return entries.length > 0 ? [option, ...entries] : [];
  };
  const mapped = [
    ...pairs('--rename', task.rename),
    ...pairs('--column-type', task.columnTypes),
    ...pairs('--primary-key', task.primaryKeys),
    ...(task.excludeColumns.length > 0 ? ['--exclude-column', ...task.excludeColumns] : []),
    ...(task.capitalization === 'source' ? [] : ['--capitalization', task.capitalization]),
  ];
  const partitions = task.partitions === 'plain' ? ['--partitions', task.partitions] : [];
  const rules = ruleWords(task.rules);
  const filtered = rules.filter.length > 0 ? ['--filter', ...rules.filter] : [];
  const operations = OPERATIONS.filter((operation) => task.operations.includes(operation));
  const followed = [
    ...(operations.length < OPERATIONS.length ? ['--operations', operations.join(',')] : []),
    ...(rules.tableOperations.length > 0 ? ['--table-operations', ...rules.tableOperations] : []),
  ];
  const conflict = task.conflict === 'report' ? [] : ['--conflict', task.conflict];
  const { heartbeat, captureDdl, ddl, replicaIdentity } = task;
  const made = task.createExtensions === true ? ['--create-extensions'] : [];
  const inSource = [
    ...(heartbeat === false ? ['--no-heartbeat'] : []),
    ...(captureDdl === 'off' ? ['--capture-ddl', 'off'] : []),
    ...(ddl === 'apply' && verb === 'migrate' ? ['--ddl', 'apply'] : []),
    ...(replicaIdentity === undefined || replicaIdentity === 'needed'
      ? []
      : ['--replica-identity', replicaIdentity]),
  ];
  const rights = [
    ...(task.owners === undefined ? [] : ['--owners', task.owners]),
    ...(task.grants === undefined ? [] : ['--grants', task.grants]),
    ...(task.createRoles ? ['--create-roles'] : []),
  ];
  const publication = task.publication === undefined ? [] : ['--publication', task.publication];
  const { decoder: wanted = 'auto' } = task;
  const decoder = wanted === 'auto' ? [] : ['--decoder', wanted];
  const start = task.start
    ? Object.entries(startText(task.start)).flatMap(([name, value]) => [
        name === 'slot' ? '--slot' : `--start-${name}`,
        value,
      ])
    : [];
  const read = [...publication, ...decoder, ...start];
  const chosen = [...tables, ...excluded, ...mapped, ...partitions, ...filtered];
  const what = {
    check: [...kinds, ...chosen, ...made, ...followed, ...conflict, ...rights, ...inSource, ...read],
    migrate: [...kinds, ...chosen, ...made, ...followed, ...conflict, ...rights, ...inSource, ...read],
    verify: chosen,
    cleanup: [],
    'dead-letters list': [],
    'schema report': [],
    'schema edit': [],
    'schema skip': [],
  };
  return ['opendts', ...verb.split(' '), ...ends, ...what[verb]].map(shellWord).join(' ');
}
