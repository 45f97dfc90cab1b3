/**
 * Takes the helper tables out of the source again: our row of the heartbeat, and with the last task that uses it each table with what
 * belongs to it. The statements look for themselves what is there, so that a person may paste them as well.
 */
import type { QualifiedName } from '../../change/relation.ts';
import { displayName } from '../../change/relation.ts';
import { literal, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import { withLockRetry } from '../lock-retry.ts';
import { rightsMissing } from '../rights-missing.ts';
import type { SourceNames } from '../source-names.ts';
import { CAPTURE_FUNCTION, CAPTURE_TRIGGERS } from './ddl-capture.ts';
import { ALONE, DDL_COMMAND, HEARTBEAT, isInUse, isOurs } from './helper-tables.ts';

interface Removal {
  readonly table: QualifiedName;
  readonly sql: string;
}

const alone = (body: string) => `DO $dts$ BEGIN PERFORM ${ALONE}; ${body} END $dts$`;
const ourTable = (table: QualifiedName) =>
  isOurs(`pg_catalog.to_regclass(${literal(qname(table))})`, 'pg_class');
const FUNCTION = `pg_catalog.to_regprocedure('${CAPTURE_FUNCTION}')`;

/** In this order. The triggers go first and on their own: what comes after them writes no more into the table that is then locked. */
function removals(slot: string): Removal[] {
  const triggers = Object.keys(CAPTURE_TRIGGERS).map(
    (
      name,
    ) => `IF EXISTS (SELECT FROM pg_catalog.pg_event_trigger e WHERE e.evtname = '${name}' AND e.evtfoid = ${FUNCTION}) THEN
      DROP EVENT TRIGGER ${name}; END IF;`,
  );
  return [
    {
      table: DDL_COMMAND,
      sql: alone(`IF ${isOurs(FUNCTION, 'pg_proc')} AND NOT ${isInUse(DDL_COMMAND)} THEN
      ${triggers.join('\n      ')} END IF;`),
    },
    {
      table: DDL_COMMAND,
      sql: alone(`IF NOT ${isInUse(DDL_COMMAND)} THEN
      IF ${isOurs(FUNCTION, 'pg_proc')} THEN DROP FUNCTION ${CAPTURE_FUNCTION}; END IF;
      IF ${ourTable(DDL_COMMAND)} THEN DROP TABLE ${qname(DDL_COMMAND)}; END IF; END IF;`),
    },
    {
      table: HEARTBEAT,
      sql: alone(`IF ${ourTable(HEARTBEAT)} THEN
      IF ${isInUse(HEARTBEAT)} THEN DELETE FROM ${qname(HEARTBEAT)} WHERE slot_name = ${literal(slot)};
      ELSE DROP TABLE ${qname(HEARTBEAT)}; END IF; END IF;`),
    },
  ];
}

/** After the task's publication is gone. Throws TABLE_BUSY, RIGHTS_MISSING. Returns a line per thing removed. */
export async function removeHelpers(source: Session, { slot }: SourceNames): Promise<string[]> {
  const before = await readHelpers(source);
  for (const { table, sql } of removals(slot)) {
    try {
      await withLockRetry(source, table, sql);
    } catch (thrown) {
      throw rightsMissing(thrown, source, sql);
    }
  }
  const after = await readHelpers(source);
  return before.filter((line) => !after.includes(line));
}

/** For a person who removes what is left of a task, after its publication. */
export function removeHelpersSql(slot: string): string[] {
  return removals(slot).map(({ sql }) => `${sql};`);
}

/** What of the helpers is there and ours, a line each. */
export async function readHelpers(source: Session): Promise<string[]> {
  const tables = [HEARTBEAT, DDL_COMMAND].map(
    (table) => `SELECT 1 AS place, 'helper table ${displayName(table)}' AS line WHERE ${ourTable(table)}`,
  );
  const rows = await source.query(`${tables.join(' UNION ALL ')}
    UNION ALL SELECT 2, 'function ${CAPTURE_FUNCTION}' WHERE ${isOurs(FUNCTION, 'pg_proc')}
    UNION ALL SELECT 3, 'event trigger ' || e.evtname FROM pg_catalog.pg_event_trigger e
      WHERE e.evtfoid = ${FUNCTION} AND ${isOurs('e.evtfoid', 'pg_proc')}
    ORDER BY 1, 2`);
  return rows.map(({ line }) => line ?? '');
}
