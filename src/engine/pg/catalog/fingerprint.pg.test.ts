/** The fingerprint of a schema is another after every DDL command, and the same after everything else. */
import { expect, it } from 'vitest';
import { ownServer } from '../../../../test/own-server.ts';
import { fingerprintSchema } from './fingerprint.ts';

const SCHEMA = `
  CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN small AS int CHECK (VALUE < 10); CREATE SEQUENCE s;
  CREATE TABLE t (id int PRIMARY KEY, v text, m mood, f int UNIQUE NOT NULL); CREATE TABLE p (id int) PARTITION BY RANGE (id);
  CREATE VIEW w AS SELECT id FROM t; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`;

const CHANGES = [
  'CREATE TABLE u (id int)',
  'ALTER TABLE u RENAME TO x',
  'DROP TABLE x',
  'ALTER TABLE t ADD COLUMN c int',
  'ALTER TABLE t ALTER v SET NOT NULL',
  "ALTER TABLE t ALTER v SET DEFAULT 'x'",
  'ALTER TABLE t ALTER v SET STATISTICS 50',
  'ALTER TABLE t ADD CHECK (id > 0)',
  'ALTER TABLE t SET (fillfactor = 50)',
  'ALTER TABLE t ENABLE ROW LEVEL SECURITY',
  'CREATE POLICY y ON t USING (true)',
  'CREATE INDEX i ON t (v)',
  'CLUSTER t USING i',
  'ALTER INDEX i RENAME TO j',
  'DROP INDEX j',
  "ALTER TYPE mood ADD VALUE 'glad'",
  'ALTER DOMAIN small DROP CONSTRAINT small_check',
  'ALTER SEQUENCE s INCREMENT 2',
  'CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2)',
  'ALTER TABLE p DETACH PARTITION p1',
  'CREATE OR REPLACE VIEW w AS SELECT id, v FROM t',
  "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
  "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
  'CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE PROCEDURE g()',
  'ALTER TABLE t DISABLE TRIGGER r',
  "COMMENT ON COLUMN t.v IS 'a comment'",
  'GRANT SELECT ON t TO PUBLIC',
  'GRANT SELECT (v) ON t TO PUBLIC',
  'GRANT EXECUTE ON FUNCTION f() TO pg_monitor',
  'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor',
  'CREATE STATISTICS st ON id, f FROM t',
  'CREATE SCHEMA other',
  'ALTER TABLE t SET SCHEMA other',
];

/** What happens all the time, and what we do in a source ourselves. */
const OTHERS = [
  "INSERT INTO t SELECT i, 'v', NULL, i FROM generate_series(1, 1000) i",
  'ANALYZE t',
  'VACUUM t',
  "SELECT nextval('s')",
  'ALTER TABLE t REPLICA IDENTITY FULL',
  'ALTER TABLE t REPLICA IDENTITY USING INDEX t_f_key',
  'CREATE TEMP TABLE passing (id int PRIMARY KEY, v text)',
  'CREATE PUBLICATION dts_sync_x FOR TABLE t',
  'CREATE TABLE dts_postgres_heartbeat (slot_name text PRIMARY KEY, flushed_lsn text)',
  'CREATE TABLE dts_ddl_command (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ddl_text text NOT NULL)',
  "COMMENT ON TABLE dts_ddl_command IS 'opendts: in use while a migration follows this database'",
  "CREATE FUNCTION dts_capture_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
  'CREATE EVENT TRIGGER dts_capture_ddl ON ddl_command_end EXECUTE PROCEDURE dts_capture_ddl()',
];

it.each([12, 18] as const)('a schema on version %i', async (major) => {
  // Roles are of the whole server: other tests make some all the time.
  await using server = await ownServer(major);
  const { session } = server.database;
  await session.query(SCHEMA);
  let before = await fingerprintSchema(session);
  for (const sql of OTHERS) {
    await session.query(sql);
    expect([sql, await fingerprintSchema(session)]).toEqual([sql, before]);
  }
  for (const sql of CHANGES) {
    await session.query(sql);
    const after = await fingerprintSchema(session);
    expect([sql, after === before]).toEqual([sql, false]);
    before = after;
  }
});
