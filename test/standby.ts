/**
 * A physical standby of a test's own server, made through the low-level backup API: the embedded servers bring no pg_basebackup.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EmbeddedOptions } from '../src/base/embedded/server.ts';
import type { ConnInfo } from '../src/engine/pg/conninfo/conninfo.ts';
import { literal } from '../src/engine/pg/ident.ts';
import { ownServer, type OwnServer } from './own-server.ts';

/** The physical slot on the primary, for `synchronized_standby_slots` there. */
export const STANDBY_SLOT = 'standby';

export interface Standby extends OwnServer {
  /** Ends recovery, and returns once writes are accepted. */
  promote(): Promise<void>;
  /** What the primary has written until now is here. */
  caughtUp(): Promise<void>;
  /** No more WAL is received (13+, where the connection can be changed without a restart). */
  cutOff(): Promise<void>;
}

/** Streams from `primary` at once; on 17 and newer its failover slots are brought over as well. */
export async function standbyOf(
  primary: OwnServer,
  settings: EmbeddedOptions['settings'] = {},
): Promise<Standby> {
  const { session, major, info } = primary.database;
  await session.query(`SELECT pg_create_physical_replication_slot('${STANDBY_SLOT}', true)`);
  const dbname = major >= 17 ? ` dbname=${info.database}` : '';
  const conninfo = `host=127.0.0.1 port=${primary.port} user=${info.user} password=${primary.password}${dbname}`;
  const lines = [
    `primary_conninfo = ${literal(conninfo).trimStart()}`,
    `primary_slot_name = '${STANDBY_SLOT}'`,
    'hot_standby_feedback = on',
    ...(major >= 17 ? ['sync_replication_slots = on'] : []),
  ];
  const folder = mkdtempSync(join(tmpdir(), 'opendts-backup-'));
  chmodSync(folder, 0o755);
  try {
    const data = join(folder, 'data');
    const label = await backUp(primary, data);
    const server = await ownServer(major, settings, {
      from: data,
      files: {
        backup_label: label,
        'standby.signal': '',
        'postgresql.auto.conf': lines.map((line) => `${line}\n`).join(''),
      },
    });
    const standby = server.database.session;
    const is = async (sql: string) => (await standby.one(`SELECT ${sql} AS yes`)).yes === 't';
    return {
      ...server,
      promote: async () => {
        await standby.query('SELECT pg_promote()');
        while (await is('pg_is_in_recovery()')) await pause();
      },
      caughtUp: async () => {
        const { end } = await session.one('SELECT pg_current_wal_flush_lsn()::text AS end');
        while (!(await is(`pg_last_wal_replay_lsn() >= ${literal(end ?? '')}::pg_lsn`))) await pause();
      },
      cutOff: async () => {
        await standby.query("ALTER SYSTEM SET primary_conninfo = ''");
        await standby.query('SELECT pg_reload_conf()');
        while (await is('EXISTS (SELECT FROM pg_stat_wal_receiver)')) await pause();
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copies the data folder; WAL is streamed from where the backup began. Returns the backup label. */
async function backUp(primary: OwnServer, to: string): Promise<string> {
  const { session, major } = primary.database;
  await session.query(
    major >= 15
      ? "SELECT pg_backup_start('standby', true)"
      : "SELECT pg_start_backup('standby', true, false)",
  );
  mkdirSync(to, { mode: 0o700 });
  const entries = readdirSync(primary.data).filter(
    (name) => !/^(postmaster\.|pg_replslot$|pg_wal$)/.test(name),
  );
  // Files may vanish while they are copied.
  spawnSync('cp', ['-a', ...entries.map((name) => join(primary.data, name)), to]);
  // With the owner and the rights of the originals, and empty.
  const empty = ['pg_replslot', 'pg_wal', 'pg_wal/archive_status'];
  for (const name of ['', ...empty]) {
    if (name !== '') mkdirSync(join(to, name));
    const from = join(primary.data, name);
    spawnSync('chown', [`--reference=${from}`, join(to, name)]);
    spawnSync('chmod', [`--reference=${from}`, join(to, name)]);
  }
  const { label } = await session.one(
    `SELECT labelfile AS label FROM ${major >= 15 ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)'}`,
  );
  return label ?? '';
}

/** One connection string for both, which follows whichever is writable. */
export function eitherOf(primary: OwnServer, standby: OwnServer): ConnInfo {
  const { info } = primary.database;
  return {
    ...info,
    hosts: [...info.hosts, ...standby.database.info.hosts],
    targetSessionAttrs: 'read-write',
  };
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
