/** A server of a test's own, which may be stopped, crashed and started again; its one database goes with it. */
import { join } from 'node:path';
import { startEmbedded, type EmbeddedOptions, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { connect } from '../src/engine/pg/connect.ts';
import type { Session } from '../src/engine/pg/session.ts';
import type { TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';

export interface OwnServer extends AsyncDisposable {
  /** Its `session` is another one after a restart. */
  readonly database: TestDatabase;
  readonly port: number;
  readonly password: string;
  /** Where its data is. */
  readonly data: string;
  /** Stops as in a crash, and starts again on the same port. `before` runs while it is down. */
  crash(before?: () => Promise<void>): Promise<void>;
  /** Stops as in a crash, for good. */
  die(): Promise<void>;
}

export async function ownServer(
  major: Major,
  settings: EmbeddedOptions['settings'] = {},
  begin: Pick<EmbeddedOptions, 'files' | 'from'> = {},
): Promise<OwnServer> {
  let server: EmbeddedServer = await startEmbedded({
    major,
    settings: { wal_level: 'logical', max_wal_senders: 20, max_replication_slots: 20, ...settings },
    ...begin,
  });
  const uri = server.uri('postgres');
  const info = parseConninfo(uri, 'source');
  const open = ({ role = 'test', replication = false } = {}): Promise<Session> =>
    connect(info, { side: 'source', applicationName: `test:${role}`, replication });
  const admin = async () => {
    const session = await open();
    await session.query('RESET search_path; RESET check_function_bodies');
    return session;
  };
  let session = await admin();
  const database: TestDatabase = {
    major,
    name: 'postgres',
    uri,
    info,
    get session() {
      return session;
    },
    open,
    [Symbol.asyncDispose]: () => session.end(),
  };
  return {
    database,
    port: server.port,
    password: server.password,
    data: join(server.folder, 'data'),
    die: () => server.stop('immediate'),
    crash: async (before) => {
      await server.stop('immediate');
      await before?.();
      server = await server.restart();
      session = await admin();
    },
    [Symbol.asyncDispose]: async () => {
      await session.end();
      await server.remove();
    },
  };
}
