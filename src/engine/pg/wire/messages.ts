/** Messages of the frontend/backend protocol that we write or read ourselves, as pure functions. */
import { PgError, type PgErrorFields } from '../pg-error.ts';

export const TYPE = {
  error: 0x45, // E
  notice: 0x4e, // N
  parameterStatus: 0x53, // S
  notification: 0x41, // A
  ready: 0x5a, // Z
  commandComplete: 0x43, // C
  copyIn: 0x47, // G
  copyOut: 0x48, // H
  copyBoth: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  parseComplete: 0x31, // 1
} as const;

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.allocUnsafe(5);
  head.write(type, 0, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export function queryMessage(sql: string): Buffer {
  return message('Q', Buffer.from(`${sql}\0`));
}

export const copyDoneMessage: Buffer = message('c', Buffer.alloc(0));

export function copyFailMessage(reason: string): Buffer {
  return message('f', Buffer.from(`${reason}\0`));
}

export function copyDataMessage(body: Buffer): Buffer {
  return message('d', body);
}

/** Rows of a command tag: `INSERT 0 5`, `COPY 5`, `UPDATE 5`; 0 where a tag has none. */
export function rowsOfTag(payload: Buffer): number {
  const match = /(\d+)\0?$/.exec(payload.toString('latin1'));
  return match ? Number(match[1]) : 0;
}

const FIELDS: Readonly<Record<string, keyof PgErrorFields>> = {
  C: 'sqlstate',
  V: 'severity',
  M: 'message',
  D: 'detail',
  H: 'hint',
  P: 'position',
  W: 'where',
  s: 'schema',
  t: 'table',
  n: 'constraint',
};

export function parseErrorResponse(payload: Buffer, statementIndex?: number): PgError {
  const fields: { -readonly [K in keyof PgErrorFields]: PgErrorFields[K] } = {
    sqlstate: 'XX000',
    severity: 'ERROR',
    message: 'unknown error',
  };
  for (const part of payload.toString('utf8').split('\0')) {
    const name = FIELDS[part.charAt(0)];
    if (name) fields[name] = part.slice(1);
  }
  return new PgError(fields, statementIndex);
}
