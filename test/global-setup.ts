/** Starts one embedded server per major for the whole `pg` project and removes them afterwards. */
import type { TestProject } from 'vitest/node';
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';

export const MAJORS = [12, 15, 17, 18] as const;
export type Major = (typeof MAJORS)[number];

declare module 'vitest' {
  interface ProvidedContext {
    /** URI of database `postgres` per major. */
    servers: Record<Major, string>;
  }
}

/** fsync is off: no test here crashes the machine. */
const settings = {
  wal_level: 'logical',
  max_wal_senders: 40,
  max_replication_slots: 40,
  max_connections: 200,
  fsync: 'off',
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started: EmbeddedServer[] = [];
  for (const major of MAJORS) started.push(await startEmbedded({ major, settings }));
  project.provide(
    'servers',
    Object.fromEntries(started.map((server) => [server.major, server.uri('postgres')])) as Record<
      Major,
      string
    >,
  );
  return async () => {
    await Promise.all(started.map((server) => server.remove()));
  };
}
