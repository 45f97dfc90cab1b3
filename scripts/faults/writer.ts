/** The load of a fault run: writes to its tables all the while. */
import type { EmbeddedServer } from '../../src/base/embedded/server.ts';
import { sleep } from '../../src/base/runtime/sleep.ts';
import { connect } from '../../src/engine/pg/connect.ts';
import { parseConninfo } from '../../src/engine/pg/conninfo/parse.ts';
import type { Session } from '../../src/engine/pg/session.ts';
import { changeTables } from './tables.ts';

export async function open(server: EmbeddedServer, database: string): Promise<Session> {
  const session = await connect(parseConninfo(server.uri(database), 'source'), {
    side: 'source',
    applicationName: 'faults',
  });
  await session.query('SET search_path = public');
  return session;
}

/** Writes until stopped; throws its own failure then, and says how many transactions there were. */
export function startWriter(session: Session): { stop(): Promise<number> } {
  let stopped = false;
  const running = (async () => {
    let n = 0;
    for (; !stopped; n++) {
      await session.query(changeTables(n));
      await sleep(5);
    }
    return n;
  })();
  running.catch(() => {});
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}
