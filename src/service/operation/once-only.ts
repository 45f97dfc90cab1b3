/** A create that is sent twice with one Idempotency-Key is carried out once, and answered twice. */
import { AppError } from '../../base/errors/app-error.ts';
import { claimKey } from '../store/idempotency/claim-key.ts';
import { keepResponse } from '../store/idempotency/keep-response.ts';
import { callerOf, type Context } from './context.ts';

/** In the transaction of the work: the key is kept exactly when the work is done. Throws IDEMPOTENCY_KEY_USED. */
export async function onceOnly(
  context: Context,
  input: unknown,
  work: () => Promise<unknown>,
): Promise<unknown> {
  const { db, name, request, services } = context;
  const key = request.idempotencyKey;
  if (key === null) return work();
  const accountId = callerOf(context).id;
  // The request may hold a password: a plain hash of it could be guessed at.
  const digest = services.connections.keyring.digest(JSON.stringify(input));
  const before = await claimKey(db, { accountId, key, operation: name, digest });
  if (before === null) {
    const response = await work();
    await keepResponse(db, accountId, key, response);
    return response;
  }
  if (before.operation !== name || before.digest !== digest) throw new AppError('IDEMPOTENCY_KEY_USED');
  return before.response;
}
