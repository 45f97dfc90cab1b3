/**
 * DDL of the source, in the order of the changes: event triggers write each command into a table that is published with the others. The
 * user's command never fails for it: what goes wrong is a warning to its session. Event triggers take a superuser, or what a managed
 * service has in its place.
 */
import { literal, qname } from '../../pg/ident.ts';
import { PgError, isConnectionLoss } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import type { SourceNames } from '../source-names.ts';
import { captureFunctionSql, captureSource } from './ddl-capture-sql.ts';
import {
  DDL_COMMAND,
  ensureHelper,
  isOurs,
  NotPossible,
  OUR_COMMENT,
  type HelperState,
} from './helper-tables.ts';

/** Names of the event triggers by their event. The function's name is the product page's. */
export const CAPTURE_TRIGGERS = { dts_capture_ddl: 'ddl_command_end', dts_capture_drop: 'sql_drop' } as const;
export const CAPTURE_FUNCTION = 'public.dts_capture_ddl()';

const COLUMNS = `event text, tag text, ddl_text text, is_cut boolean, is_nested boolean, objects json, username text,
  event_time timestamptz, txid_current bigint`;

export function ensureCapture(source: Session, { publication }: SourceNames): Promise<HelperState> {
  return ensureHelper(source, publication, {
    name: DDL_COMMAND,
    columns: COLUMNS,
    complete: async (session) => {
      // Nobody but the function writes here; what a person deletes must not fail for want of a key.
      await session.query(`ALTER TABLE ${qname(DDL_COMMAND)} REPLICA IDENTITY FULL`);
      await ensureFunction(session);
      for (const [name, event] of Object.entries(CAPTURE_TRIGGERS)) await ensureTrigger(session, name, event);
    },
  });
}

async function ensureFunction(source: Session): Promise<void> {
  const [existing] = await source.query(
    `SELECT ${isOurs('p.oid', 'pg_proc')}::text AS ours,
            (p.prosrc = $1 OR NOT pg_catalog.pg_has_role(p.proowner, 'USAGE'))::text AS stays
       FROM pg_catalog.pg_proc p WHERE p.oid = pg_catalog.to_regprocedure('${CAPTURE_FUNCTION}')`,
    [captureSource(source.version)],
  );
  // One of another version of opendts is brought up to date: it only tells more.
  if (existing?.ours === 'true' && existing.stays === 'true') return;
  if (existing && existing.ours !== 'true')
    throw new NotPossible(`function ${CAPTURE_FUNCTION} of the source is not ours`);
  await source.query(captureFunctionSql(source.version));
  await source.query(`COMMENT ON FUNCTION ${CAPTURE_FUNCTION} IS ${literal(OUR_COMMENT)}`);
}

async function ensureTrigger(source: Session, name: string, event: string): Promise<void> {
  const [existing] = await source.query(
    `SELECT e.evtenabled::text AS enabled, (e.evtfoid = pg_catalog.to_regprocedure('${CAPTURE_FUNCTION}'))::text AS ours
       FROM pg_catalog.pg_event_trigger e WHERE e.evtname = $1`,
    [name],
  );
  if (existing?.enabled === 'D') throw new NotPossible(`event trigger ${name} of the source is disabled`);
  if (existing?.ours === 'true') return;
  if (existing) throw new NotPossible(`event trigger ${name} of the source is not ours`);
  await source.query(`CREATE EVENT TRIGGER ${name} ON ${event} EXECUTE PROCEDURE ${CAPTURE_FUNCTION}`);
  // Also in sessions that run as replicas.
  await source.query(`ALTER EVENT TRIGGER ${name} ENABLE ALWAYS`);
}

/** Whether every part is in place and published: somebody may have removed one. Reads only, takes no lock. */
export async function isCapturing(source: Session, { publication }: SourceNames): Promise<boolean> {
  const { capturing } = await source.one(
    `SELECT ((SELECT count(*) FROM pg_catalog.pg_event_trigger e
               WHERE e.evtname IN (${Object.keys(CAPTURE_TRIGGERS).map(literal).join(', ')}) AND e.evtenabled <> 'D'
                 AND e.evtfoid = pg_catalog.to_regprocedure('${CAPTURE_FUNCTION}')) = 2
             AND EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
                          WHERE p.pubname = $1 AND r.prrelid = pg_catalog.to_regclass($2)))::text AS capturing`,
    [publication, qname(DDL_COMMAND)],
  );
  return capturing === 'true';
}

class TriedOut extends Error {}

/**
 * Whether the account may make event triggers: null, or what the server says. Superusers may; for others it is tried in a transaction
 * that is rolled back, because managed services give the right by means of their own.
 */
export async function whyNoEventTrigger(source: Session): Promise<string | null> {
  const { superuser } = await source.one(
    "SELECT pg_catalog.current_setting('is_superuser') = 'on' AS superuser",
  );
  if (superuser === 't') return null;
  const probe = 'public.dts_capture_ddl_probe';
  try {
    await source.transaction(async () => {
      await source.query("SET LOCAL lock_timeout = '1s'");
      await source.query(`CREATE FUNCTION ${probe}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`);
      await source.query(
        `CREATE EVENT TRIGGER dts_capture_ddl_probe ON ddl_command_end EXECUTE PROCEDURE ${probe}()`,
      );
      throw new TriedOut();
    });
    return null;
  } catch (thrown) {
    if (thrown instanceof TriedOut) return null;
    if (!(thrown instanceof PgError) || isConnectionLoss(thrown)) throw thrown;
    return thrown.shown;
  }
}
