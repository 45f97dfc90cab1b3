/**
 * The process lives; it can serve, too: the store answers, and has what this program needs. A task that failed is no matter of either.
 */
import type { FastifyInstance } from 'fastify';
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { assertOurs } from '../../service/store/migrate.ts';
import type { Store } from '../../service/store/store.ts';

/** Whoever asks does not wait long. */
const LIMIT_MS = 5_000;

export function health(app: FastifyInstance, store: Store): void {
  app.get('/livez', () => ({ status: 'ok' }));
  app.get('/readyz', async () => {
    await inTime(assertOurs(store));
    return { status: 'ok', checks: { store: 'ok', migrations: 'ok' } };
  });
}

/** Throws STORE_UNAVAILABLE. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = sleep(LIMIT_MS, over.signal).then(() => {
    throw new AppError('STORE_UNAVAILABLE', { problem: `no answer in ${LIMIT_MS / 1000} s` });
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}
