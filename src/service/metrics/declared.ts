/** The metrics of a node, declared once: they are made from this, and docs/metrics.md is. Labels have few values: never a name of a table. */

export const PREFIX = 'opendts_';

export interface Declared {
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  /** Of the node that is asked; else of the store, and every node says the same. */
  readonly ofNode?: true;
}

export const METRICS = {
  build_info: { type: 'gauge', help: 'Always 1', labels: ['version'], ofNode: true },
  store_up: {
    type: 'gauge',
    help: '1 when the metadata database answers; else what is of it is missing',
    ofNode: true,
  },
  tasks: { type: 'gauge', help: 'Tasks', labels: ['state'] },
  tasks_waiting: { type: 'gauge', help: 'Tasks that need a worker and have none that lives' },
  tasks_without_series: {
    type: 'gauge',
    help: 'Tasks that are under way and have no series of their own, because there are too many',
  },
  task_info: { type: 'gauge', help: 'Always 1: the name of a task', labels: ['task', 'name'] },
  task_state: { type: 'gauge', help: '1 for the state that a task is in', labels: ['task', 'state'] },
  task_attempts: {
    type: 'gauge',
    help: 'How often a task was tried again since it failed',
    labels: ['task'],
  },
  task_progress_age_seconds: {
    type: 'gauge',
    help: 'Since the worker of a task last said where it is',
    labels: ['task'],
  },
  copy_ratio: { type: 'gauge', help: 'Share of the full copy that is done, 0 to 1', labels: ['task'] },
  rows_copied_total: { type: 'counter', help: 'Rows of the full copy', labels: ['task'] },
  bytes_copied_total: { type: 'counter', help: 'Bytes of the full copy', labels: ['task'] },
  changes_applied_total: { type: 'counter', help: 'Changes applied to the target', labels: ['task'] },
  transactions_applied_total: {
    type: 'counter',
    help: 'Transactions of the source applied to the target',
    labels: ['task'],
  },
  replication_lag_seconds: {
    type: 'gauge',
    help: 'From commit on the source to visibility on the target',
    labels: ['task'],
  },
  replication_lag_bytes: {
    type: 'gauge',
    help: 'Log of the source that is not yet applied',
    labels: ['task'],
  },
  slot_retained_wal_bytes: { type: 'gauge', help: 'Log that the source keeps for a task', labels: ['task'] },
  dead_letter_rows: { type: 'gauge', help: 'Changes that were refused and are kept', labels: ['task'] },
  tables: { type: 'gauge', help: 'Tables of a task', labels: ['task', 'stage'] },
  workers: { type: 'gauge', help: 'Workers: active, draining, or lost (not heard of)', labels: ['state'] },
  worker_places: { type: 'gauge', help: 'Tasks that the active workers can run' },
  worker_tasks: { type: 'gauge', help: 'Tasks that workers run' },
  copy_hands: {
    type: 'gauge',
    help: 'Hands that workers lend to the copies of others',
    labels: ['state'],
  },
  audit_unsent_age_seconds: {
    type: 'gauge',
    help: 'Age of the oldest entry of the audit log that is not written out; it only grows where nobody does that (--audit-log)',
  },
  http_requests_total: {
    type: 'counter',
    help: 'Requests answered',
    labels: ['operation', 'status'],
    ofNode: true,
  },
  http_request_duration_seconds: {
    type: 'histogram',
    help: 'How long requests took, without event streams',
    labels: ['operation'],
    ofNode: true,
  },
  event_clients: { type: 'gauge', help: 'Clients that follow events', ofNode: true },
  store_sessions: {
    type: 'gauge',
    help: 'Sessions of the metadata database: lent, idle; and callers that wait for one',
    labels: ['state'],
    ofNode: true,
  },
  process_resident_memory_bytes: { type: 'gauge', help: 'Memory of the process', ofNode: true },
  process_cpu_seconds_total: { type: 'counter', help: 'CPU time of the process', ofNode: true },
  eventloop_lag_seconds: {
    type: 'gauge',
    help: 'The longest that the process was busy with one thing since it was last asked',
    ofNode: true,
  },
} as const satisfies Record<string, Declared>;

export type MetricName = keyof typeof METRICS;

/** All of them, as plain declarations. */
export const DECLARED = Object.entries(METRICS) as [MetricName, Declared][];
