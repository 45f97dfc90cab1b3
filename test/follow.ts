/** A migration that follows its source while a test makes changes, and ends where the source is at that moment. */
import type { MigrationEvent, MigrationSummary, Phase } from '../src/contract/progress.ts';
import type { Lsn } from '../src/engine/change/lsn.ts';
import { endOfWal } from '../src/engine/pg/wal-position.ts';
import type { Migration } from '../src/service/task/migrate.ts';
import type { TestDatabase } from './database.ts';
import { start, type RunOptions } from './migration.ts';

export interface Following {
  readonly migration: Migration;
  readonly events: readonly MigrationEvent[];
  /** Applies everything committed on the source before the call, then ends. */
  catchUp(): Promise<MigrationSummary>;
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves once the migration is in one of these phases; rejects when it ends before. */
export async function reaches(migration: Migration, ...phases: Phase[]): Promise<void> {
  let ended = false;
  const end = migration.finished.then(
    () => (ended = true),
    () => (ended = true),
  );
  while (!ended && !phases.includes(migration.progress().phase)) await Promise.race([end, pause(10)]);
  if (!phases.includes(migration.progress().phase)) {
    await migration.finished;
    throw new Error(`the migration ended in ${migration.progress().phase} before ${phases.join(' or ')}`);
  }
}

/** Starts a run and returns once it follows changes as they come. */
export async function follow(
  source: TestDatabase,
  target: TestDatabase,
  options: Omit<RunOptions, 'until' | 'events'> = {},
): Promise<Following> {
  const goal = Promise.withResolvers<Lsn>();
  const events: MigrationEvent[] = [];
  const migration = start(source, target, {
    ...options,
    events,
    until: { kind: 'lsn', lsn: goal.promise },
  });
  await reaches(migration, 'stream');
  return {
    migration,
    events,
    catchUp: async () => {
      goal.resolve(await endOfWal(source.session));
      return migration.finished;
    },
  };
}
