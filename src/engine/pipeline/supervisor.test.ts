import { describe, expect, it } from 'vitest';
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { Intake } from './intake.ts';
import { NO_STREAM_LIMITS, StreamThrottle } from './stream-throttle.ts';
import { superviseStream, type Supervision } from './supervisor.ts';

const lost = () => new AppError('CONNECTION_LOST', { side: 'target', problem: 'gone' });

/** A stream that never comes up: opening its target fails as told. */
function failing(
  open: () => Promise<never>,
  given: Partial<Supervision> = {},
): { run: Supervision; retries: AppError[] } {
  const retries: AppError[] = [];
  const run: Supervision = {
    openApplier: open,
    openReader: () => Promise.reject(lost()),
    readTables: () => Promise.reject(lost()),
    intake: new Intake(null),
    ddl: 'ask',
    throttle: new StreamThrottle(NO_STREAM_LIMITS),
    strict: false,
    wantsRefresh: () => false,
    until: () => null,
    signal: new AbortController().signal,
    patienceMs: 60_000,
    onApplied: () => {},
    onRetry: (error) => retries.push(error),
    onReplay: () => {},
    onTableStopped: () => {},
    ...given,
  };
  return { run, retries };
}

describe('a stream that breaks', () => {
  it('is tried again when the first failure comes after a long quiet time (V1)', async () => {
    const { run, retries } = failing(
      async () => {
        await sleep(50);
        throw lost();
      },
      { patienceMs: 10 },
    );
    await expect(superviseStream(run)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(retries).toHaveLength(1);
  });

  it('ends at once with what a person must look at', async () => {
    const { run, retries } = failing(() =>
      Promise.reject(new AppError('SLOT_LOST', { slot: 's', state: 'gone', lsn: '0/0' })),
    );
    await expect(superviseStream(run)).rejects.toMatchObject({ code: 'SLOT_LOST' });
    expect(retries).toHaveLength(0);
  });

  it('is given up without an error when it is stopped meanwhile', async () => {
    const stop = new AbortController();
    const { run } = failing(() => Promise.reject(lost()), {
      signal: stop.signal,
      onRetry: () => stop.abort(),
    });
    expect(await superviseStream(run)).toEqual({ kind: 'stopped' });
  });
});
