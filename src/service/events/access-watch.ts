/** Whoever follows events was let in once; this looks every few seconds whether they would be let in now. One statement for all of them. */
import type { Log } from '../../base/runtime/log.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import type { OperationName } from '../../contract/api/operations.ts';
import { isAllowed } from '../account/permissions.ts';
import type { Credentials } from '../account/sessions.ts';
import { hashOf } from '../account/tokens.ts';
import { findStandings } from '../store/account/find-standings.ts';
import type { Db } from '../store/store.ts';

/** As whom somebody follows what. */
export interface Admitted {
  readonly credentials: Credentials;
  readonly groupId: string;
  readonly operation: OperationName;
}

interface Watched extends Admitted {
  readonly hash: string;
  readonly end: () => void;
}

const EVERY_MS = 3_000;
/** A store that cannot be asked for so long is no reason to let somebody stay. */
const UNSURE_MS = 60_000;

export class AccessWatch implements AsyncDisposable {
  private readonly db: Db;
  private readonly log: Log;
  private readonly watched = new Set<Watched>();
  private readonly stop = new AbortController();
  /** Since there is somebody to watch. */
  private running: Promise<void> | null = null;

  constructor(db: Db, log: Log) {
    this.db = db;
    this.log = log.seldom(60);
  }

  /** `end` is called when they may no longer. The result ends the watch. */
  watch(admitted: Admitted, end: () => void): () => void {
    const one: Watched = { ...admitted, hash: hashOf(admitted.credentials.token), end };
    this.watched.add(one);
    this.running ??= this.run();
    return () => this.watched.delete(one);
  }

  private async run(): Promise<void> {
    const { signal } = this.stop;
    let sureAt = performance.now();
    while (!signal.aborted) {
      try {
        if (this.watched.size > 0) await this.look([...this.watched]);
        sureAt = performance.now();
      } catch (thrown) {
        this.log.failure(thrown, 'it is not known whether clients of events are still let in', {
          level: 'warn',
        });
        if (performance.now() - sureAt > UNSURE_MS) for (const { end } of this.watched) end();
      }
      await sleep(EVERY_MS, signal);
    }
  }

  private async look(all: readonly Watched[]): Promise<void> {
    const asked = [
      ...Map.groupBy(
        all,
        ({ credentials: { kind }, hash, groupId }) => `${kind} ${hash} ${groupId}`,
      ).values(),
    ];
    const found = await findStandings(
      this.db,
      asked.flatMap(([one]) =>
        one ? [{ kind: one.credentials.kind, hash: one.hash, groupId: one.groupId }] : [],
      ),
    );
    for (const [place, some] of asked.entries()) {
      const standing = found.find((one) => one.place === place);
      for (const { operation, end } of some) {
        const isIn = standing !== undefined && !standing.mustChangePassword;
        if (!isIn || !isAllowed(operation, { ...standing, isLoggedIn: true })) end();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.running;
  }
}
