/** Seals with the active key what is sealed with another: after a new key was put first into the keyring. */
import { AppError } from '../../base/errors/app-error.ts';
import { listKeyIds } from '../store/connection/list-key-ids.ts';
import { lockSealedOtherwise } from '../store/connection/lock-sealed-otherwise.ts';
import { reseal } from '../store/connection/reseal.ts';
import type { Store } from '../store/store.ts';
import type { Keyring } from './keyring.ts';

const AT_ONCE = 100;

/** How many secrets were sealed anew. May be called off and run again. Throws SEALING_KEY_UNKNOWN. */
export async function sealAnew(store: Store, keyring: Keyring): Promise<number> {
  let all = 0;
  for (;;) {
    const some = await store.transaction(async (db) => {
      const secrets = await lockSealedOtherwise(db, keyring.activeId, AT_ONCE);
      for (const secret of secrets)
        await reseal(db, { id: secret.id, ...keyring.seal(keyring.open(secret, secret.id), secret.id) });
      return secrets.length;
    });
    if (some === 0) return all;
    all += some;
  }
}

/** A node that could not open what is in the store must not start. Throws SEALING_KEY_UNKNOWN. */
export async function requireKeys(store: Store, keyring: Keyring): Promise<void> {
  const missing = (await listKeyIds(store)).filter((id) => !keyring.has(id));
  if (missing.length > 0) throw new AppError('SEALING_KEY_UNKNOWN', { keyId: missing.join(', ') });
}
