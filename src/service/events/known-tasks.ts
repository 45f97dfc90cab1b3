/** What a node has told of the tasks of one group: of each the newest, with a number that grows. Pure. */
import type { LiveEvent } from '../../contract/api/event-operations.ts';
import type { TaskLine } from '../store/task/task-line-row.ts';

export interface Told {
  readonly number: number;
  readonly taskId: string;
  readonly event: LiveEvent;
}

interface Known extends Told {
  /** By which a change is seen; null for a task that is gone. */
  readonly text: string | null;
}

export class KnownTasks {
  private readonly number: () => number;
  private readonly tasks = new Map<string, Known>();
  /** Whoever has seen this number or a later one lacks only what comes behind it. */
  readonly since: number;

  /** `number` gives a larger one each time. */
  constructor(number: () => number) {
    this.number = number;
    this.since = number();
  }

  /** What is new in rows of the store. One of the tasks that were looked for, which is not among them, is gone. */
  take(lines: readonly TaskLine[], looked: 'all' | readonly string[]): Told[] {
    const told = lines.flatMap((line) => this.changed(line));
    const there = new Set(lines.map(({ id }) => id));
    const gone = [...this.tasks.values()].filter(
      ({ taskId, text }) =>
        text !== null && !there.has(taskId) && (looked === 'all' || looked.includes(taskId)),
    );
    return [...told, ...gone.map(({ taskId }) => this.keep(taskId, { kind: 'gone', id: taskId }, null))];
  }

  /** In the order of their numbers: what somebody lacks who has seen that one; with null, what there is. */
  after(seen: number | null): Told[] {
    return [...this.tasks.values()]
      .filter(({ number, text }) => (seen === null ? text !== null : number > seen))
      .toSorted((one, other) => one.number - other.number);
  }

  private changed(line: TaskLine): Told[] {
    const { groupId: _, place: __, ...task } = line;
    const text = JSON.stringify(task);
    if (this.tasks.get(task.id)?.text === text) return [];
    return [this.keep(task.id, { kind: 'task', task }, text)];
  }

  private keep(taskId: string, event: LiveEvent, text: string | null): Told {
    const known = { number: this.number(), taskId, event, text };
    this.tasks.set(taskId, known);
    return known;
  }
}
