/** Options of `opendts task`, as the parser delivers them. */
import type { TaskState } from '../../../contract/api/task-states.ts';
import type { TableWish } from '../../../contract/api/task-tables.ts';
import type { TaskFlags } from '../options/task-options.ts';

export interface TaskCommandFlags
  extends
    Pick<
      TaskFlags,
      | 'source'
      | 'target'
      | 'types'
      | 'table'
      | 'excludeTable'
      | 'conflict'
      | 'jobs'
      | 'maxMegabytes'
      | 'maxRows'
      | 'maxQueries'
      | 'maxStreamRows'
      | 'maxStreamMegabytes'
      | 'json'
    >,
    Partial<Record<TableWish, string[]>> {
  readonly group: string;
  readonly file?: string;
  readonly taskGroup?: string;
  readonly environment?: string;
  readonly cluster?: string;
  readonly state?: TaskState;
  readonly name?: string;
  readonly all?: boolean;
  readonly until?: TaskState;
  readonly timeout?: number;
}
