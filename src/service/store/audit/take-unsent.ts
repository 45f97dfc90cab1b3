/** Entries of the audit log that were not yet written out. */
import type { Db } from '../store.ts';
import { AUDIT_COLUMNS, auditRow, type AuditRecord } from './audit-row.ts';

/** In a transaction: they count as written out when it commits. What another node is just writing out is passed over. */
export async function takeUnsent(db: Db, limit: number): Promise<AuditRecord[]> {
  return db.query(
    auditRow,
    `WITH taken AS (
       DELETE FROM opendts.audit_unsent WHERE audit_id = ANY (ARRAY(
         SELECT u.audit_id FROM opendts.audit_unsent u ORDER BY u.audit_id LIMIT $1 FOR UPDATE SKIP LOCKED))
       RETURNING audit_id)
     SELECT ${AUDIT_COLUMNS} FROM taken t JOIN opendts.audit e ON e.id = t.audit_id ORDER BY e.id`,
    [String(limit)],
  );
}
