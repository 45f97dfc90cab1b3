/** All operations by name. */
import type { z } from 'zod';
import { ACCOUNT_OPERATIONS } from './account-operations.ts';
import { CONNECTION_OPERATIONS } from './connection-operations.ts';
import { EVENT_OPERATIONS } from './event-operations.ts';
import { GROUP_OPERATIONS } from './group-operations.ts';
import { TASK_LIFE_OPERATIONS } from './task-life-operations.ts';
import { TASK_OPERATIONS } from './task-operations.ts';
import { WORKER_OPERATIONS } from './worker-operations.ts';

export const OPERATIONS = {
  ...ACCOUNT_OPERATIONS,
  ...GROUP_OPERATIONS,
  ...CONNECTION_OPERATIONS,
  ...EVENT_OPERATIONS,
  ...TASK_OPERATIONS,
  ...TASK_LIFE_OPERATIONS,
  ...WORKER_OPERATIONS,
} as const;
export type OperationName = keyof typeof OPERATIONS;

/** What a caller writes. */
export type Asked<N extends OperationName> = z.input<(typeof OPERATIONS)[N]['input']>;
/** What the operation is given: checked, defaults filled in. */
export type Input<N extends OperationName> = z.output<(typeof OPERATIONS)[N]['input']>;
export type Answer<N extends OperationName> = z.output<(typeof OPERATIONS)[N]['output']>;
