/** libpq's six `sslmode`s as attempts: what to ask the server for, what to verify, and whether a failure may fall back. */
import { readFileSync } from 'node:fs';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import { sqlstateOf } from '../pg-error.ts';
import type { ConnInfo } from './conninfo.ts';

export interface TlsAttempt {
  /** For the driver: false is plain text. */
  readonly ssl: false | ConnectionOptions;
  /** Whether the next attempt may be made after this failure. */
  mayFallBack(thrown: unknown): boolean;
}

const never = () => false;
const always = () => true;

export function tlsAttempts(ssl: ConnInfo['ssl'], host: string): readonly TlsAttempt[] {
  const plain = { ssl: false, mayFallBack: never } as const;
  // TLS is never spoken over a unix socket.
  if (host.startsWith('/') || ssl.mode === 'disable') return [plain];
  const encrypted: TlsAttempt = { ssl: tlsOptions(ssl), mayFallBack: never };
  if (ssl.mode === 'prefer')
    return [
      { ...encrypted, mayFallBack: (thrown) => !/^(28P01|3D000)$/.test(sqlstateOf(thrown) ?? '') },
      plain,
    ];
  if (ssl.mode === 'allow') return [{ ...plain, mayFallBack: always }, encrypted];
  return [encrypted];
}

function tlsOptions(ssl: ConnInfo['ssl']): ConnectionOptions {
  const verifies =
    ssl.mode === 'verify-ca' ||
    ssl.mode === 'verify-full' ||
    (ssl.mode === 'require' && ssl.rootCert !== null);
  return {
    rejectUnauthorized: verifies,
    ...(ssl.rootCert !== null && ssl.rootCert !== 'system' ? { ca: readFileSync(ssl.rootCert) } : {}),
    ...(ssl.cert !== null ? { cert: readFileSync(ssl.cert) } : {}),
    ...(ssl.key !== null ? { key: readFileSync(ssl.key) } : {}),
    // verify-ca checks the chain only; verify-full the name too.
    checkServerIdentity: ssl.mode === 'verify-full' ? checkServerIdentity : () => undefined,
  };
}
