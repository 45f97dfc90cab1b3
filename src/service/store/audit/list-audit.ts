/** Entries of the audit log, the newest first. */
import type { Page } from '../page.ts';
import type { Db } from '../store.ts';
import { AUDIT_COLUMNS, auditRow, type AuditRecord } from './audit-row.ts';

export interface AuditFilter {
  /** Null: of everything. */
  readonly groupId: string | null;
  /** Times; with the first, without the last. */
  readonly from: string | null;
  readonly to: string | null;
}

export async function listAudit(
  db: Db,
  { groupId, from, to }: AuditFilter,
  { after, limit }: Page,
): Promise<AuditRecord[]> {
  return db.query(
    auditRow,
    `SELECT ${AUDIT_COLUMNS} FROM opendts.audit e
      WHERE ($1::uuid IS NULL OR e.group_id = $1::uuid) AND ($2::bigint IS NULL OR e.id < $2::bigint)
        AND ($3::timestamptz IS NULL OR e.at >= $3::timestamptz) AND ($4::timestamptz IS NULL OR e.at < $4::timestamptz)
      ORDER BY e.id DESC LIMIT $5`,
    [groupId, after, from, to, String(limit)],
  );
}
