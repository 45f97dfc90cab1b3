/** Ends what hands of other machines have open on both ends (I7): a frozen one could else go on when it wakes, and keeps its locks. */
import { sleep } from '../../../base/runtime/sleep.ts';
import type { Side } from '../../../engine/pg/conninfo/conninfo.ts';
import { endBackends } from '../../../engine/pg/identity.ts';
import { applicationName } from '../../../engine/source/source-names.ts';
import type { Ends } from '../ends.ts';

const GONE_MS = 5_000;
const LOOK_MS = 50;

/** True when none is left on either side. Never rejects: a server that cannot be asked may still have some. */
export async function endHands(ends: Ends, taskId: string, role: string): Promise<boolean> {
  const sides: readonly Side[] = ['source', 'target'];
  const name = applicationName(taskId, role);
  const gone = await Promise.all(sides.map((side) => endOn(ends, side, name).catch(() => false)));
  return gone.every(Boolean);
}

async function endOn(ends: Ends, side: Side, prefix: string): Promise<boolean> {
  await using session = await ends.openWatch(side);
  const deadline = performance.now() + GONE_MS;
  while ((await endBackends(session, prefix)) > 0) {
    if (performance.now() > deadline) return false;
    await sleep(LOOK_MS);
  }
  return true;
}
