/** The tables whose changes are followed, and those of them for which the stream could not say which row was updated or deleted. */
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { counted, finding, listedTables, perTable } from './finding.ts';
import type { Finding } from './check.ts';

export function followed(tables: readonly TableInfo[]): TableInfo[] {
  return tables.filter(({ kind, persistence }) => kind === 'r' && persistence === 'permanent');
}

/** For where we do not set the identity ourselves. */
export function identityFindings(check: string, tables: readonly TableInfo[]): Finding[] {
  const without = followed(tables).filter(
    ({ replicaIdentity, identityColumns }) => replicaIdentity !== 'full' && identityColumns.length === 0,
  );
  if (without.length === 0) return [];
  return [
    finding(check, 'failed', {
      what: `${counted(without.length, 'table')} without a replica identity: updates and deletes cannot be followed`,
      evidence: listedTables(without),
      fix: perTable(without, (table) => `ALTER TABLE ${table} REPLICA IDENTITY FULL;   -- as its owner`),
    }),
  ];
}
