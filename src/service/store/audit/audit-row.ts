/** An entry of the audit log as it is read. */
import { z } from 'zod';
import { json, time } from '../columns.ts';

export const AUDIT_COLUMNS = `e.id, e.at, e.account_name, e.via, e.address, e.request_id, e.operation, e.group_name, e.object_id, e.object_name,
  e.outcome, e.error_code, e.before, e.after`;

export const auditRow = z
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
export type AuditRecord = z.infer<typeof auditRow>;
