/** What ALTER DATABASE … SET and ALTER ROLE … SET have left: parameters of the sessions to come. */
import type { Session } from '../../session.ts';

export interface SettingInfo {
  /** Null: of the database, for every role. */
  readonly role: string | null;
  /** False: of the role, in every database. */
  readonly inDatabase: boolean;
  readonly name: string;
  /** Lists as the server keeps them: `"$user", public`. */
  readonly value: string;
}

/** Of this database, and of the roles that `mentioned` (a query of their oids) finds. */
export async function readSettings(session: Session, mentioned: string): Promise<SettingInfo[]> {
  const rows = await session.query<{
    role: string | null;
    in_database: string;
    name: string;
    value: string;
  }>(`
    SELECT r.rolname AS role, (s.setdatabase <> 0)::text AS in_database,
           pg_catalog.split_part(c.setting, '=', 1) AS name,
           pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) AS value
      FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
      CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) WITH ORDINALITY c(setting, position)
     WHERE (s.setrole = 0 OR r.oid IS NOT NULL) AND (
             s.setdatabase = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
             OR (s.setdatabase = 0 AND s.setrole IN (${mentioned})))
     ORDER BY r.rolname NULLS FIRST, in_database DESC, name`);
  return rows.map(({ role, in_database, name, value }) => ({
    role,
    inDatabase: in_database === 'true',
    name,
    value,
  }));
}
