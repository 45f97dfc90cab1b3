/** What a person runs in the source to remove what a task made there, where we cannot: the same as releaseSource, as SQL. Pure. */
import { ident, literal } from '../pg/ident.ts';
import type { FormerIdentity } from './handed-over.ts';
import { removeHelpersSql } from './helpers/remove.ts';
import { restoringStatement } from './replica-identity.ts';
import type { SourceNames } from './source-names.ts';

/** Ready to paste, in order; after a failover on the server that is the primary now. May be repeated. */
export function releaseSql(names: SourceNames, identities: readonly FormerIdentity[]): string[] {
  const ofSlot = `FROM pg_catalog.pg_replication_slots WHERE slot_name = ${literal(names.slot)}`;
  return [
    `SELECT pg_catalog.pg_terminate_backend(active_pid) ${ofSlot} AND active;`,
    `SELECT pg_catalog.pg_drop_replication_slot(slot_name) ${ofSlot};`,
    `DROP PUBLICATION IF EXISTS ${ident(names.publication)};`,
    ...identities.map((former) => `${restoringStatement(former)};`),
    ...removeHelpersSql(names.slot),
  ];
}
