/**
 * Our own tables on the target, in schema _opendts: never migrated, never compared, dropped by cleanup. They are the truth about a
 * task: what they say committed together with the rows they speak of.
 */
import { qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';

const TABLES = `
  CREATE SCHEMA IF NOT EXISTS _opendts;
  CREATE TABLE IF NOT EXISTS _opendts.task (
    task_id text PRIMARY KEY,
    source_system text NOT NULL,
    source_database text NOT NULL,
    options text NOT NULL,
    phase text NOT NULL,
    fence bigint NOT NULL,
    -- what transactions that copy must find: raised between two snapshots as well
    copy_fence bigint NOT NULL DEFAULT 0,
    -- the slot's snapshot S1 and where its stream begins; null until the slot exists
    slot_lsn pg_lsn,
    slot_snapshot text,
    slot_timeline int,
    slot_decoder text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now());
  -- the source tables that were selected when the task began, and the types that their columns have had since
  CREATE TABLE IF NOT EXISTS _opendts.task_table (
    task_id text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, table_oid bigint NOT NULL, columns text NOT NULL,
    -- the target table is filled as it is, although its columns differ
    as_is boolean NOT NULL DEFAULT false,
    -- what the target refuses of it becomes a dead letter
    dead_letters boolean NOT NULL DEFAULT false,
    -- the partitioned table at the top of a partition; apart: its rows are not with those of that table, which is a plain one on the target
    root_oid bigint, apart boolean NOT NULL DEFAULT false,
    -- the rows of a partition, as a condition, when it was taken in
    bound text,
    PRIMARY KEY (task_id, schema_name, table_name));
  -- schema steps, those that are created in the transaction of the step; edited: the SQL that a person wants instead
  CREATE TABLE IF NOT EXISTS _opendts.object (
    task_id text NOT NULL, step text NOT NULL, done_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    state text NOT NULL DEFAULT 'created', phase text, statements text, problem text, edited text,
    PRIMARY KEY (task_id, step));
  -- what of the source's schema is not migrated: lines, in JSON
  CREATE TABLE IF NOT EXISTS _opendts.not_migrated (task_id text PRIMARY KEY, lines text NOT NULL);
  -- the source's schema of which all is here that is to be; none where something is open
  CREATE TABLE IF NOT EXISTS _opendts.complete_schema (task_id text PRIMARY KEY, fingerprint text NOT NULL);
  -- tasks that came to a halt: paused, stopped or failed; the mark is known to whoever halted them
  CREATE TABLE IF NOT EXISTS _opendts.halted (task_id text PRIMARY KEY, mark text NOT NULL);
  -- how large tables were cut into chunks, before the first of them was copied
  CREATE TABLE IF NOT EXISTS _opendts.copy_cut (
    task_id text NOT NULL, table_id text NOT NULL, cut text NOT NULL,
    PRIMARY KEY (task_id, table_id));
  -- copied chunks, in the transaction of their rows; the snapshot is null where it is S1
  CREATE TABLE IF NOT EXISTS _opendts.copy_chunk (
    task_id text NOT NULL, chunk text NOT NULL, snapshot text, read_until pg_lsn, rows bigint NOT NULL, skipped bigint NOT NULL,
    bytes bigint NOT NULL, done_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (task_id, chunk));
  -- ranges of oids whose large objects are copied, in the transaction of those objects; made: those that are ours to remove again
  CREATE TABLE IF NOT EXISTS _opendts.large_object (
    task_id text NOT NULL, first_oid bigint NOT NULL, last_oid bigint NOT NULL, snapshot text NOT NULL, made oid[] NOT NULL,
    skipped bigint NOT NULL, bytes bigint NOT NULL, done_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (task_id, first_oid));
  -- progress of the stream, in the transaction of its changes; ahead: source tables that are as far while the first lane is not
  CREATE TABLE IF NOT EXISTS _opendts.lane (
    task_id text NOT NULL, lane int NOT NULL, end_lsn pg_lsn NOT NULL, timeline int NOT NULL, fence bigint NOT NULL,
    ahead text NOT NULL DEFAULT '[]', commits bigint NOT NULL, writes bigint NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (task_id, lane));
  -- tables that have stopped while the others go on, in the transaction of their changes; change: what their columns have become
  CREATE TABLE IF NOT EXISTS _opendts.stopped_table (
    task_id text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, end_lsn pg_lsn NOT NULL, code text NOT NULL,
    reason text NOT NULL, choice text, change text, stopped_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (task_id, schema_name, table_name));
  -- what persons ask of tables that go on, null once the run has done it; wished_at: the newest wish of a service that was passed on
  CREATE TABLE IF NOT EXISTS _opendts.asked_table (
    task_id text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, ask text,
    asked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), wished_at timestamptz,
    PRIMARY KEY (task_id, schema_name, table_name));
  -- what became of every change received, per source table
  CREATE TABLE IF NOT EXISTS _opendts.account (
    task_id text NOT NULL, source_table text NOT NULL, received bigint NOT NULL, applied bigint NOT NULL, folded bigint NOT NULL,
    filtered bigint NOT NULL, invisible bigint NOT NULL, repeated bigint NOT NULL, dead bigint NOT NULL,
    inserts bigint NOT NULL, updates bigint NOT NULL, deletes bigint NOT NULL,
    PRIMARY KEY (task_id, source_table));
  -- changes that the target has refused and a person wanted out of the way, in the transaction of the changes around them
  CREATE TABLE IF NOT EXISTS _opendts.dead_letter (
    id bigserial PRIMARY KEY, task_id text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, target_schema text NOT NULL, target_name text NOT NULL,
    -- where the commit record of its transaction begins, and its place among the changes of that transaction
    final_lsn pg_lsn NOT NULL, ordinal bigint NOT NULL,
    kind text NOT NULL, identity text NOT NULL, columns text[] NOT NULL, identity_columns text[] NOT NULL, left_out text[] NOT NULL,
    -- what the target calls them
    target_columns text[] NOT NULL,
    -- values as the bytes of their text, which the target's encoding need not know; of what is unchanged the new row has none
    key_columns text[] NOT NULL, key_values bytea[] NOT NULL, key_digest text NOT NULL, old_row bytea[], new_row bytea[], unchanged text[] NOT NULL,
    code text NOT NULL, sqlstate text NOT NULL, reason text NOT NULL,
    -- rows of an older transaction are as they were before it; so are those that this one wrote, which has replayed a letter before it
    written xid, follows xid,
    made_at timestamptz NOT NULL DEFAULT pg_catalog.now(), tried_at timestamptz);
  CREATE INDEX IF NOT EXISTS dead_letter_table ON _opendts.dead_letter (task_id, schema_name, table_name);
  CREATE INDEX IF NOT EXISTS dead_letter_key ON _opendts.dead_letter (task_id, key_digest, id);
  -- what tables of the source had before REPLICA IDENTITY FULL was set on them, written before it was
  CREATE TABLE IF NOT EXISTS _opendts.source_identity (
    task_id text NOT NULL, table_oid bigint NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, identity text NOT NULL,
    PRIMARY KEY (task_id, table_oid))`;

/** What the first books did not have. */
const STEP_COLUMNS = `
  ALTER TABLE _opendts.object ADD COLUMN state text NOT NULL DEFAULT 'created', ADD COLUMN phase text, ADD COLUMN statements text,
    ADD COLUMN problem text, ADD COLUMN edited text`;

/** Creates what is missing; may be repeated, and by two at the same time. */
export async function ensureBookkeeping(session: Session): Promise<void> {
  await session.transaction(async () => {
    // IF NOT EXISTS alone is not safe against a second creator.
    await session.query("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('_opendts'))");
    await session.query(TABLES);
    // Not asked for in vain: it would wait for everybody who writes there.
    const { old } = await session.one(
      `SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = '_opendts.object'::pg_catalog.regclass AND a.attname = 'state') AS old`,
    );
    if (old === 't') await session.query(STEP_COLUMNS);
  });
}

/** Books of an older version lack something that ensureBookkeeping() adds. */
export async function areBooksCurrent(session: Session): Promise<boolean> {
  const { yes } = await session.one(
    `SELECT bool_and(pg_catalog.to_regclass('_opendts.' || t) IS NOT NULL) AS yes FROM unnest(ARRAY['complete_schema', 'halted', 'asked_table']) t`,
  );
  return yes === 't';
}

export async function hasBookkeeping(session: Session): Promise<boolean> {
  return (
    (await session.one("SELECT pg_catalog.to_regclass('_opendts.source_identity') IS NOT NULL AS yes"))
      .yes === 't'
  );
}

export async function dropBookkeeping(session: Session): Promise<void> {
  await session.query('DROP SCHEMA IF EXISTS _opendts CASCADE');
}

/** Removes one task from the books; with the last of them the books go, and that is told. */
export async function forgetTask(session: Session, taskId: string): Promise<boolean> {
  return session.transaction(async () => {
    await session.query("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('_opendts'))");
    const tables = await session.query(
      `SELECT c.relname AS name FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = pg_catalog.to_regnamespace('_opendts') AND c.relkind = 'r' AND a.attname = 'task_id'`,
    );
    for (const { name } of tables)
      await session.query(
        `DELETE FROM ${qname({ schema: '_opendts', name: name ?? '' })} WHERE task_id = $1`,
        [taskId],
      );
    const { last } = await session.one('SELECT NOT EXISTS (SELECT FROM _opendts.task) AS last');
    if (last === 't') await dropBookkeeping(session);
    return last === 't';
  });
}
