/** The metrics of one node, and of the store as it is when somebody asks. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { TASK_STATES } from '../../contract/api/task-states.ts';
import type { Log } from '../../base/runtime/log.ts';
import { countAll, type Counts } from '../store/metrics/count-all.ts';
import { QUIET_STATES, readTaskNumbers, type TaskNumbers } from '../store/metrics/read-task-numbers.ts';
import type { Store } from '../store/store.ts';
import { needsOwner } from '../task-life/states.ts';
import { DECLARED, METRICS, PREFIX, type Declared, type MetricName } from './declared.ts';

export interface MetricsOptions {
  readonly store: Store;
  readonly eventClients: () => number;
  readonly version: string;
  readonly log: Log;
}

type Labels = Readonly<Record<string, string>>;

/** So many tasks have series of their own: some fourteen each. */
const MOST_TASKS = 1000;
const LOST_AFTER_S = 10;
const BUSY = TASK_STATES.filter((state) => needsOwner({ state, desired: 'idle' }));
const BUCKETS = [0.01, 0.05, 0.25, 1, 5, 30];

export class NodeMetrics implements Disposable {
  readonly contentType: string;
  private readonly options: MetricsOptions;
  private readonly registry = new Registry();
  private readonly simple = new Map<MetricName, Gauge | Counter>();
  private readonly durations: Histogram;
  private readonly lag = monitorEventLoopDelay();

  constructor(options: MetricsOptions) {
    this.options = options;
    this.contentType = this.registry.contentType;
    for (const [name, declared] of DECLARED)
      if (declared.type !== 'histogram') this.simple.set(name, this.make(name, declared));
    this.durations = new Histogram({
      ...this.named('http_request_duration_seconds', METRICS.http_request_duration_seconds),
      buckets: BUCKETS,
    });
    this.lag.enable();
  }

  /** A request was answered; of a stream without the time. */
  answered(operation: string, status: number, seconds: number | null): void {
    this.add('http_requests_total', 1, { operation, status: String(status) });
    if (seconds !== null) this.durations.observe({ operation }, seconds);
  }

  /** All of them as Prometheus reads them. What is of the store is missing when it does not answer. */
  async text(): Promise<string> {
    const ofStore = await this.readStore();
    this.ofNode();
    this.set('store_up', ofStore === null ? 0 : 1);
    for (const [name, { ofNode }] of DECLARED) if (!ofNode) this.simple.get(name)?.reset();
    if (ofStore !== null) {
      this.ofCounts(ofStore.counts);
      for (const task of ofStore.tasks) this.ofTask(task);
      this.set('tasks_without_series', Math.max(0, underWay(ofStore.counts) - ofStore.tasks.length));
    }
    return this.registry.metrics();
  }

  [Symbol.dispose](): void {
    this.lag.disable();
  }

  private async readStore(): Promise<{ counts: Counts; tasks: TaskNumbers[] } | null> {
    const { store, log } = this.options;
    try {
      return {
        counts: await countAll(store, { lostAfterSeconds: LOST_AFTER_S, busy: BUSY }),
        tasks: await readTaskNumbers(store, MOST_TASKS),
      };
    } catch (thrown) {
      log.failure(thrown, 'the metrics lack what is of the store', { level: 'warn' });
      return null;
    }
  }

  private ofNode(): void {
    const { store, eventClients, version } = this.options;
    this.set('build_info', 1, { version });
    this.set('event_clients', eventClients());
    for (const [state, count] of Object.entries(store.sessions()))
      this.set('store_sessions', count, { state });
    this.set('process_resident_memory_bytes', process.memoryUsage.rss());
    const { user, system } = process.cpuUsage();
    this.total('process_cpu_seconds_total', (user + system) / 1e6);
    this.set('eventloop_lag_seconds', this.lag.max / 1e9);
    this.lag.reset();
  }

  private ofCounts({ tasks, workers, hands, ...counts }: Counts): void {
    for (const state of TASK_STATES) this.set('tasks', tasks[state] ?? 0, { state });
    for (const state of ['active', 'draining', 'lost']) this.set('workers', workers[state] ?? 0, { state });
    for (const [state, count] of Object.entries(hands)) this.set('copy_hands', count, { state });
    this.set('worker_places', counts.places);
    this.set('worker_tasks', counts.owned);
    this.set('tasks_waiting', counts.waiting);
    this.set('audit_unsent_age_seconds', counts.unsent_age);
  }

  private ofTask(task: TaskNumbers): void {
    const of = { task: task.id };
    this.set('task_info', 1, { ...of, name: task.name });
    this.set('task_state', 1, { ...of, state: task.state });
    this.set('task_attempts', task.attempts, of);
    this.set('task_progress_age_seconds', task.age, of);
    this.set('copy_ratio', task.share, of);
    this.set('replication_lag_seconds', task.delay_ms === null ? null : task.delay_ms / 1000, of);
    this.set('replication_lag_bytes', task.lag_bytes, of);
    this.set('slot_retained_wal_bytes', task.retained_bytes, of);
    this.set('dead_letter_rows', task.dead_letters, of);
    this.add('rows_copied_total', task.rows_copied, of);
    this.add('bytes_copied_total', task.bytes_copied, of);
    this.add('changes_applied_total', task.changes_applied, of);
    this.add('transactions_applied_total', task.transactions_applied, of);
    for (const [stage, count] of Object.entries(task.tables ?? {}))
      this.set('tables', count, { ...of, stage });
  }

  private named(name: MetricName, { help, labels = [] }: Declared) {
    return { name: `${PREFIX}${name}`, help, labelNames: [...labels], registers: [this.registry] };
  }

  private make(name: MetricName, declared: Declared): Gauge | Counter {
    const options = this.named(name, declared);
    return declared.type === 'gauge' ? new Gauge(options) : new Counter(options);
  }

  /** Null: not known, and not shown. */
  private set(name: MetricName, value: number | null, labels: Labels = {}): void {
    const metric = this.simple.get(name);
    if (value !== null && metric instanceof Gauge) metric.set(labels, value);
  }

  private add(name: MetricName, value: number | null, labels: Labels = {}): void {
    const metric = this.simple.get(name);
    if (value !== null && metric instanceof Counter) metric.inc(labels, value);
  }

  private total(name: MetricName, value: number): void {
    this.simple.get(name)?.reset();
    this.add(name, value);
  }
}

function underWay({ tasks }: Counts): number {
  return TASK_STATES.filter((state) => !QUIET_STATES.includes(state))
    .map((state) => tasks[state] ?? 0)
    .reduce((sum, count) => sum + count, 0);
}
