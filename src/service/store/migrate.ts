/**
 * Brings the store to the newest schema. Migrations are numbered and never edited. Each runs in a transaction of its own, which first
 * takes a lock and only then looks what is to be done: any number of nodes may start at once, also through a pooler.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { AppError } from '../../base/errors/app-error.ts';
import { int } from './columns.ts';
import type { Db, Store } from './store.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
  /** Why no older version may work on the store from here on; null: they may. */
  readonly breaks: string | null;
}

/** migrations/ lies beside src/ and dist/. */
const FOLDER = new URL('../../../migrations/', import.meta.url);
/** Any number that nobody else locks. */
const LOCK = '7310993286541';

const FIRST = `
CREATE SCHEMA IF NOT EXISTS opendts;
CREATE TABLE IF NOT EXISTS opendts.migration (
  number integer PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamp with time zone NOT NULL DEFAULT now(),
  breaks text
)`;

// The first stores have no such column.
const SELECT_DONE = `
SELECT m.number, m.name, m.checksum, pg_catalog.to_jsonb(m) ->> 'breaks' AS breaks FROM opendts.migration m ORDER BY m.number`;
const recorded = z.object({
  number: int,
  name: z.string(),
  checksum: z.string(),
  breaks: z.string().nullable(),
});
export type Recorded = z.infer<typeof recorded>;
const nothing = z.unknown();

/** The migrations of this version of the program, in their order. */
export function readMigrations(): Migration[] {
  return readdirSync(FOLDER)
    .filter((name) => /^\d{4}_\w+\.sql$/.test(name))
    .toSorted()
    .map((name) => {
      const sql = readFileSync(new URL(name, FOLDER), 'utf8');
      const breaks = /^-- Breaks older versions: (.+)$/m.exec(sql)?.[1] ?? null;
      return { number: Number(name.slice(0, 4)), name, sql, checksum: checksumOf(sql), breaks };
    });
}

/** The number of the newest that this version of the program knows. */
export function newestMigration(): number {
  return readMigrations().at(-1)?.number ?? 0;
}

function checksumOf(sql: string): string {
  return createHash('sha256').update(sql).digest('hex');
}

/** Applies what is missing; gives the names. Throws STORE_NEWER, STORE_IN_USE, MIGRATION_CHANGED or STORE_UNAVAILABLE. */
export async function migrate(
  store: Store,
  migrations: readonly Migration[] = readMigrations(),
): Promise<string[]> {
  const applied: string[] = [];
  for (;;) {
    const name = await store.transaction((db) => applyNext(db, migrations), null);
    if (name === null) return applied;
    applied.push(name);
  }
}

/** Null when nothing is missing. */
async function applyNext(db: Db, migrations: readonly Migration[]): Promise<string | null> {
  await db.query(nothing, 'SET LOCAL statement_timeout = 0');
  await db.query(nothing, 'SET LOCAL lock_timeout = 0');
  await db.query(nothing, 'SELECT pg_catalog.pg_advisory_xact_lock($1)', [LOCK]);
  const exists = await db.query(
    nothing,
    "SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass('opendts.migration')",
  );
  if (exists.length === 0) await db.query(nothing, FIRST);
  const done = await db.query(recorded, SELECT_DONE);
  const next = nextMigration(done, migrations);
  if (next === null) return null;
  if (next.breaks !== null) await assertNoneOlder(db, next);
  await db.query(nothing, next.sql);
  await db.query(
    nothing,
    `INSERT INTO opendts.migration (number, name, checksum${next.breaks === null ? '' : ', breaks'})
     VALUES ($1, $2, $3${next.breaks === null ? '' : ', $4'})`,
    [String(next.number), next.name, next.checksum, ...(next.breaks === null ? [] : [next.breaks])],
  );
  return next.name;
}

/** A breaking migration waits for nobody, and takes the store away from nobody who works on it: a person ends them first. */
async function assertNoneOlder(db: Db, { number, name }: Migration): Promise<void> {
  const workers = await db.query(
    z.object({ name: z.string(), version: z.string(), host: z.string() }),
    `SELECT w.name, w.version, w.host FROM opendts.worker w
      WHERE w.knows < $1 AND w.seen_at > now() - interval '15 seconds' ORDER BY w.name, w.id`,
    [String(number)],
  );
  if (workers.length === 0) return;
  const shown = workers.map((one) => `${one.name} (opendts ${one.version} on ${one.host})`).join(', ');
  throw new AppError('STORE_IN_USE', { name, workers: shown });
}

/**
 * The store is the one of this program: it lacks no migration of it (a restored one may), and has none that breaks it. Throws
 * STORE_BEHIND, STORE_NEWER.
 */
export async function assertOurs(db: Db): Promise<void> {
  const missing = nextMigration(await db.query(recorded, SELECT_DONE), readMigrations());
  if (missing !== null) throw new AppError('STORE_BEHIND', { name: missing.name });
}

/**
 * The first migration that is missing; null when none is. What a newer program has added is no matter, unless it says that it breaks
 * older ones. Throws STORE_NEWER or MIGRATION_CHANGED. Pure.
 */
export function nextMigration(done: readonly Recorded[], known: readonly Migration[]): Migration | null {
  for (const { number, name, checksum, breaks } of done) {
    const same = known.find((migration) => migration.number === number);
    if (same && same.checksum !== checksum) throw new AppError('MIGRATION_CHANGED', { name });
    if (!same && breaks !== null) throw new AppError('STORE_NEWER', { name, why: breaks });
  }
  return known.find(({ number }) => !done.some((one) => one.number === number)) ?? null;
}
