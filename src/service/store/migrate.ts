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
  applied_at timestamp with time zone NOT NULL DEFAULT now()
)`;

const SELECT_DONE = 'SELECT number, name, checksum FROM opendts.migration ORDER BY number';
const recorded = z.object({ number: int, name: z.string(), checksum: z.string() });
export type Recorded = z.infer<typeof recorded>;
const nothing = z.unknown();

/** The migrations of this version of the program, in their order. */
export function readMigrations(): Migration[] {
  return readdirSync(FOLDER)
    .filter((name) => /^\d{4}_\w+\.sql$/.test(name))
    .toSorted()
    .map((name) => {
      const sql = readFileSync(new URL(name, FOLDER), 'utf8');
      return { number: Number(name.slice(0, 4)), name, sql, checksum: checksumOf(sql) };
    });
}

function checksumOf(sql: string): string {
  return createHash('sha256').update(sql).digest('hex');
}

/** Applies what is missing; gives the names. Throws STORE_NEWER, MIGRATION_CHANGED or STORE_UNAVAILABLE. */
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
  await db.query(nothing, next.sql);
  await db.query(nothing, 'INSERT INTO opendts.migration (number, name, checksum) VALUES ($1, $2, $3)', [
    String(next.number),
    next.name,
    next.checksum,
  ]);
  return next.name;
}

/** The name of a migration of this program that the store lacks: it was restored to an earlier day. Null when it has them all. */
export async function missingMigration(db: Db): Promise<string | null> {
  const done = await db.query(recorded, SELECT_DONE);
  return readMigrations().find(({ number }) => !done.some((one) => one.number === number))?.name ?? null;
}

/** The first migration that is missing; null when none is. Throws STORE_NEWER or MIGRATION_CHANGED. Pure. */
export function nextMigration(done: readonly Recorded[], known: readonly Migration[]): Migration | null {
  for (const { number, name, checksum } of done) {
    const same = known.find((migration) => migration.number === number);
    if (!same) throw new AppError('STORE_NEWER', { name });
    if (same.checksum !== checksum) throw new AppError('MIGRATION_CHANGED', { name });
  }
  return known.find(({ number }) => !done.some((one) => one.number === number)) ?? null;
}
