/** An entry for the audit log. */
import { randomUUID } from 'node:crypto';
import type { AuditEntry } from '../src/service/store/audit/insert-audit.ts';

export function auditEntry(operation: string): AuditEntry {
  return {
    accountId: randomUUID(),
    accountName: 'a',
    via: 'token',
    address: '127.0.0.1',
    requestId: 'r',
    operation,
    groupId: null,
    groupName: null,
    objectId: null,
    objectName: null,
    outcome: 'done',
    errorCode: null,
    before: undefined,
    after: { a: 1 },
  };
}
