/** A copy whose servers crash, or run out of disk, in the middle of it: what is done stays done, and the end is the source. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import { literal } from '../src/engine/pg/ident.ts';
import { NO_LIMITS } from '../src/engine/source/throttle.ts';
import {
  ALL,
  CHUNK,
  doneChunks,
  expectIdentical,
  failureOf,
  FULL,
  midway,
  SLOW,
  until,
  writer,
} from './copy-faults.ts';
import { TABLES } from '../scripts/faults/tables.ts';
import { freshDatabase } from './database.ts';
import { migrate, start } from './migration.ts';
import { ownServer } from './own-server.ts';

const KINDS = [
  ['schema,full', FULL],
  ['schema,full,incremental', ALL],
] as const;

describe.each(KINDS)('%s', (_, types) => {
  it.each([18, 12] as const)(
    'a source (%i) that crashes and restarts: finished parts stay, the rest is copied under a later snapshot',
    async (major) => {
      await using server = await ownServer(major);
      await using target = await freshDatabase(17);
      const source = server.database;
      const pair = { source, target };
      await source.session.query(TABLES);
      const events: MigrationEvent[] = [];
      const migration = start(source, target, { types, chunkBytes: CHUNK, limits: SLOW, events });
      await until(migration, midway());
      if (types.includes('incremental'))
        await source.session.query(
          'UPDATE ordered SET id = id + 500000 WHERE id % 100 = 3; UPDATE loose SET a = 77 WHERE a = 7',
        );
      const before = await doneChunks(target);
      await server.crash();
      migration.limit(NO_LIMITS);
      if (types.includes('incremental')) {
        await using _ = await writer(source);
        await migration.finished;
      } else {
        await migration.finished;
      }
      expect(events.filter(({ message }) => /new snapshot/.test(message)).length).toBeGreaterThan(0);
      const after = await doneChunks(target);
      const kept = [...before].filter(([chunk, { at }]) => after.get(chunk)?.at === at);
      expect(kept.length).toBeGreaterThan(0);
      // Nobody wrote: then nothing at all is copied twice.
      if (!types.includes('incremental')) expect(kept).toHaveLength(before.size);
      if (types.includes('incremental')) await migrate(source, target, { types });
      await expectIdentical(pair);
    },
  );

  it('a target that crashes and restarts forgets at most what was not flushed, and that is copied again', async () => {
    // Commits that nobody waits for stay in memory for long.
    await using server = await ownServer(17, { wal_writer_delay: '10s' });
    await using source = await freshDatabase(18);
    const target = server.database;
    await source.session.query(TABLES);
    {
      await using _ = types.includes('incremental') ? await writer(source) : null;
      const migration = start(source, target, { types, chunkBytes: CHUNK, limits: SLOW });
      await until(migration, midway());
      await server.crash();
      migration.limit(NO_LIMITS);
      await migration.finished;
    }
    if (types.includes('incremental')) await migrate(source, target, { types });
    await expectIdentical({ source, target });
  });
});

/** A file system of its own, of so many megabytes; null where this machine does not let us mount one. */
function smallDisk(
  megabytes: number,
): ({ folder: string; grow: (megabytes: number) => void } & Disposable) | null {
  const folder = mkdtempSync(join(tmpdir(), 'opendts-disk-'));
  const mount = (options: string) =>
    spawnSync('/bin/mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
  const remove = () => rmSync(folder, { recursive: true, force: true });
  if (!mount(`size=${megabytes}m,mode=0777`)) {
    remove();
    return null;
  }
  chmodSync(folder, 0o777);
  return {
    folder,
    grow: (to) => {
      if (!mount(`remount,size=${to}m`)) throw new Error('the disk cannot be made larger');
    },
    [Symbol.dispose]: () => {
      spawnSync('/bin/umount', ['-l', folder]);
      remove();
    },
  };
}

it.each(KINDS)(
  '%s: a target without room says so, keeps what it has, and completes once there is room',
  async (_, types) => {
    using disk = smallDisk(8);
    if (disk === null) {
      process.stderr.write('skipped: a file system of its own cannot be mounted here\n');
      return;
    }
    await using server = await ownServer(18);
    await using source = await freshDatabase(17);
    const target = server.database;
    await source.session.query(TABLES);
    // The server's account needs a folder of its own on that disk.
    const place = join(disk.folder, 'space');
    await target.session.query(
      `COPY (SELECT 1) TO PROGRAM ${literal(`cat >/dev/null && mkdir -m 700 ${place}`)}`,
    );
    await target.session.query(`CREATE TABLESPACE small LOCATION ${literal(place)}`);
    await target.session.query('ALTER DATABASE postgres SET default_tablespace = small');
    const failure = await failureOf(start(source, target, { types, chunkBytes: CHUNK }));
    expect(failure.message).toMatch(/No space left on device|could not (extend|write)/);
    expect(failure.facts).toMatchObject({ sqlstate: '53100', side: 'target' });
    expect(failure.facts.table).toMatch(/^public\./);
    const before = await doneChunks(target);
    expect(before.size).toBeGreaterThan(0);
    if (types.includes('incremental'))
      await source.session.query('UPDATE ordered SET n = n + 1 WHERE id % 50 = 0');
    disk.grow(200);
    await migrate(source, target, { types, chunkBytes: CHUNK });
    const after = await doneChunks(target);
    const kept = [...before].filter(([chunk, { at }]) => after.get(chunk)?.at === at);
    expect(kept.length).toBeGreaterThan(0);
    await expectIdentical({ source, target });
  },
);
