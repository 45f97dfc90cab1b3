/** Fresh databases on the test servers: `await using db = await freshDatabase(18)`. */
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import type { ConnInfo } from '../src/engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { ident, literal } from '../src/engine/pg/ident.ts';
import type { Session } from '../src/engine/pg/session.ts';
import type { Major } from './global-setup.ts';

export interface TestDatabase extends AsyncDisposable {
  readonly major: Major;
  readonly name: string;
  readonly uri: string;
  readonly info: ConnInfo;
  /** An administrator's session with PostgreSQL's own search_path. */
  readonly session: Session;
  /** One more session of ours, as the product opens it. */
  open(options?: { replication?: boolean; role?: string }): Promise<Session>;
}

export async function freshDatabase(major: Major): Promise<TestDatabase> {
  const name = `t_${randomBytes(6).toString('hex')}`;
  const server = inject('servers')[major];
  const admin = parseConninfo(server, 'source');
  await using root = await connect(admin, { side: 'source', applicationName: 'test' });
  await root.query(`CREATE DATABASE ${ident(name)}`);
  const info = { ...admin, database: name };
  const session = await connect(info, { side: 'source', applicationName: 'test' });
  await session.query('RESET search_path; RESET check_function_bodies');
  return {
    major,
    name,
    uri: server.replace(/\/[^/]*$/, `/${name}`),
    info,
    session,
    open: ({ replication = false, role = 'test' } = {}) =>
      connect(info, { side: 'source', applicationName: `test:${role}`, replication }),
    [Symbol.asyncDispose]: async () => {
      await session.end();
      await dropDatabase(admin, name);
    },
  };
}

export interface DatabasePair extends AsyncDisposable {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

/** Two fresh databases, the source with what `sql` makes. */
export async function freshPair(from: Major, to: Major, sql = ''): Promise<DatabasePair> {
  const source = await freshDatabase(from);
  const target = await freshDatabase(to);
  await source.session.query(sql);
  return {
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

/** Ends what is still connected, then drops its slots and the database itself. */
async function dropDatabase(admin: ConnInfo, name: string): Promise<void> {
  await using root = await connect(admin, { side: 'source', applicationName: 'test' });
  const where = `database = ${literal(name)}`;
  const slots = () => root.query(`SELECT slot_name, active_pid FROM pg_replication_slots WHERE ${where}`);
  await root.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${literal(name)}`);
  for (
    let attempt = 0;
    attempt < 100 && (await slots()).some((slot) => slot.active_pid !== null);
    attempt++
  ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await root.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE ${where}`);
  for (let attempt = 0; ; attempt++) {
    try {
      await root.query(`DROP DATABASE ${ident(name)}`);
      return;
    } catch (thrown) {
      if (attempt > 50) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
