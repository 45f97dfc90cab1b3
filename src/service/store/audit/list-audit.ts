/** Entries of the audit log, the newest first. */
import { z } from 'zod';
import { json, time } from '../columns.ts';
import type { Db } from '../store.ts';
import type { Page } from '../page.ts';

const entry = z
  .object({
    id: z.string(),
    at: time,
    account_name: z.string().nullable(),
    via: z.string(),
    address: z.string(),
    request_id: z.string(),
    operation: z.string(),
    group_name: z.string().nullable(),
    object_id: z.string().nullable(),
    object_name: z.string().nullable(),
    outcome: z.enum(['done', 'failed']),
    error_code: z.string().nullable(),
    before: json(z.unknown()).nullable(),
    after: json(z.unknown()).nullable(),
  })
  .transform((row) => ({
    id: row.id,
    at: row.at,
    account: row.account_name,
    via: row.via,
    address: row.address,
    requestId: row.request_id,
    operation: row.operation,
    group: row.group_name,
    objectId: row.object_id,
    object: row.object_name,
    outcome: row.outcome,
    errorCode: row.error_code,
    before: row.before,
    after: row.after,
  }));
export type AuditRecord = z.infer<typeof entry>;

/** Of one group; of everything where `groupId` is null. */
export async function listAudit(
  db: Db,
  groupId: string | null,
  { after, limit }: Page,
): Promise<AuditRecord[]> {
  return db.query(
    entry,
    `SELECT e.id, e.at, e.account_name, e.via, e.address, e.request_id, e.operation, e.group_name, e.object_id, e.object_name,
            e.outcome, e.error_code, e.before, e.after
       FROM opendts.audit e
      WHERE ($1::uuid IS NULL OR e.group_id = $1::uuid) AND ($2::bigint IS NULL OR e.id < $2::bigint)
      ORDER BY e.id DESC LIMIT $3`,
    [groupId, after, String(limit)],
  );
}
