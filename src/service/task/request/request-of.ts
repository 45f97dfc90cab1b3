/** From what a task says (contract/task-spec.ts) to what runs: sets, bytes and milliseconds. The command line goes through here as well. */
import type { z } from 'zod';
import type { taskSpec } from '../../../contract/task-spec.ts';
import { parseTime } from '../../../engine/change/commit-time.ts';
import { parseLsn } from '../../../engine/change/lsn.ts';
import type { ConnInfo } from '../../../engine/pg/conninfo/conninfo.ts';
import type { StreamLimits } from '../../../engine/pipeline/stream-throttle.ts';
import type { SourceLimits } from '../../../engine/source/source-limits.ts';
import type { StartPosition } from '../../../engine/source/start-position.ts';
import type { CopyLimits } from '../../../engine/source/throttle.ts';
import { DEFAULT_BUDGET, type WalBudget } from '../copy/wal-budget.ts';
import type { MigrationRequest } from '../task-run.ts';

type Spec = z.infer<typeof taskSpec>;
/** All of it but for the ends. */
export type TaskOptions = Omit<Spec, 'source' | 'target'>;

export interface TaskEnds {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
}

export function requestOf(spec: TaskOptions, ends: TaskEnds): Omit<MigrationRequest, 'until'> {
  const { types, throttle, streamThrottle, protect, walBudget, chunkMegabytes, slotWait, ...others } = spec;
  const { start, owners, grants, publication, ...same } = others;
  return {
    ...same,
    source: ends.source,
    target: ends.target,
    types: new Set(types),
    limits: copyLimits(throttle),
    streamLimits: streamLimits(streamThrottle),
    protect: protection(protect),
    walBudget: budget(walBudget),
    slotWaitMs: slotWait * 1000,
    ...(chunkMegabytes === undefined ? {} : { chunkBytes: chunkBytes(chunkMegabytes) }),
    ...(start === undefined ? {} : { start: startPosition(start) }),
    ...(owners === undefined ? {} : { owners }),
    ...(grants === undefined ? {} : { grants }),
    ...(publication === undefined ? {} : { publication }),
  };
}

/** A limit that is not given is none. */
export function copyLimits({ queries, rows, megabytes }: Spec['throttle']): CopyLimits {
  return {
    queriesPerSecond: queries ?? null,
    rowsPerSecond: rows ?? null,
    bytesPerSecond: megabytes === undefined ? null : megabytes * 1e6,
  };
}

export function streamLimits({ rows, megabytes }: Spec['streamThrottle']): StreamLimits {
  return {
    rowsPerSecond: rows ?? null,
    bytesPerSecond: megabytes === undefined ? null : megabytes * 1e6,
  };
}

export function protection({ snapshotAge, retainedWal }: Spec['protect']): SourceLimits {
  return {
    snapshotAge: snapshotAge === undefined ? null : BigInt(snapshotAge),
    retainedWal: retainedWal === undefined ? null : gigabytes(retainedWal),
  };
}

export function budget({ gigabytes: size, minutes }: Spec['walBudget']): WalBudget {
  return {
    bytes: size === undefined ? DEFAULT_BUDGET.bytes : gigabytes(size),
    ms: minutes === undefined ? DEFAULT_BUDGET.ms : minutes * 60_000,
  };
}

export function chunkBytes(megabytes: number): bigint {
  return BigInt(Math.max(1, Math.round(megabytes * 1e6)));
}

function gigabytes(count: number): bigint {
  return BigInt(Math.round(count * 1e9));
}

function startPosition({ slot, lsn, time }: NonNullable<Spec['start']>): StartPosition {
  return {
    slot,
    lsn: lsn === undefined ? null : parseLsn(lsn),
    time: time === undefined ? null : parseTime(time),
  };
}
