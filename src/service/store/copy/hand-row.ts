/** Columns of hands and of what they are lent to. */
import { z } from 'zod';

export const handState = z.enum(['opening', 'ready', 'given', 'copying', 'done', 'failed']);

const rate = z.number().nullable();
export const handLimits = z.object({ queriesPerSecond: rate, rowsPerSecond: rate, bytesPerSecond: rate });
