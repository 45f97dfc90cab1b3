/** One entry of the audit log. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export interface AuditEntry {
  readonly accountId: string | null;
  readonly accountName: string | null;
  readonly via: string;
  readonly address: string;
  readonly requestId: string;
  readonly operation: string;
  readonly groupId: string | null;
  readonly groupName: string | null;
  readonly objectId: string | null;
  readonly objectName: string | null;
  readonly outcome: 'done' | 'failed';
  readonly errorCode: string | null;
  /** Never a secret. */
  readonly before: unknown;
  readonly after: unknown;
}

export async function insertAudit(db: Db, entry: AuditEntry): Promise<void> {
  const document = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
  await db.query(
    z.unknown(),
    `INSERT INTO opendts.audit (account_id, account_name, via, address, request_id, operation, group_id, group_name,
                                object_id, object_name, outcome, error_code, before, after)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::jsonb, $14::jsonb)`,
    [
      entry.accountId,
      entry.accountName,
      entry.via,
      entry.address,
      entry.requestId,
      entry.operation,
      entry.groupId,
      entry.groupName,
      entry.objectId,
      entry.objectName,
      entry.outcome,
      entry.errorCode,
      document(entry.before),
      document(entry.after),
    ],
  );
}
