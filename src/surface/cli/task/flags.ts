/** Options of `opendts task`, as the parser delivers them. */
import type { BlackoutWindow } from '../../../contract/blackout.ts';
import type { CLASSES } from '../../../contract/api/task-fields.ts';
import type { TaskState } from '../../../contract/api/task-states.ts';
import type { TaskFlags } from '../options/task-options.ts';

export interface TaskCommandFlags extends Pick<
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
> {
  readonly group: string;
  readonly file?: string;
  readonly taskGroup?: string;
  readonly environment?: string;
  readonly cluster?: string;
  readonly class?: (typeof CLASSES)[number];
  readonly connectMinutes?: number;
  readonly otherMinutes?: number;
  readonly state?: TaskState;
  readonly name?: string;
  readonly all?: boolean;
  readonly until?: TaskState;
  readonly timeout?: number;
  readonly pause?: string[];
  readonly skip?: string[];
  readonly resume?: string[];
  readonly recopy?: string[];
  readonly apply?: string[];
  readonly asIs?: string[];
  readonly deadLetter?: string[];
  readonly dropDeadLetters?: boolean;
  readonly sourceGone?: boolean;
  readonly at?: string;
  readonly from?: string;
  readonly to?: string;
  readonly blackout?: (BlackoutWindow | null)[];
}
