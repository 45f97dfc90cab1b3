/**
 * libpq's six `sslmode`s as attempts: what to ask the server for, what to verify, and whether a failure may fall back.
 * https://www.postgresql.org/docs/current/libpq-ssl.html
 */
import { readFileSync, statSync } from 'node:fs';
import { checkServerIdentity, getCACertificates, type ConnectionOptions } from 'node:tls';
import { sqlstateOf } from '../pg-error.ts';
import { invalidConninfo, type HostPort, type Side, type Ssl } from './conninfo.ts';

export interface TlsAttempt {
  /** For the driver: false is plain text. */
  readonly ssl: false | ConnectionOptions;
  /** Whether the next attempt may be made after this failure. */
  mayFallBack(thrown: unknown): boolean;
}

const never = () => false;

/** The attempts for one host, in their order. Throws CONNINFO_INVALID when a certificate or key file cannot be used. */
export function tlsAttempts(ssl: Ssl, host: HostPort, side: Side): readonly TlsAttempt[] {
  const plain: TlsAttempt = { ssl: false, mayFallBack: never };
  // TLS is never spoken over a unix socket, whatever sslmode says.
  if (host.host.startsWith('/') || ssl.mode === 'disable') return [plain];
  const encrypted: TlsAttempt = { ssl: tlsOptions(ssl, host, side), mayFallBack: never };
  if (ssl.mode === 'prefer') return [{ ...encrypted, mayFallBack: tlsFailed }, plain];
  if (ssl.mode === 'allow') return [{ ...plain, mayFallBack: serverMayWantTheOther }, encrypted];
  return [encrypted];
}

/** A server that answered and refused may accept the other kind of connection (pg_hba.conf: hostssl, hostnossl). */
function serverMayWantTheOther(thrown: unknown): boolean {
  const state = sqlstateOf(thrown);
  return state === '28000' || state === '08P01';
}

function tlsFailed(thrown: unknown): boolean {
  if (sqlstateOf(thrown) !== undefined) return serverMayWantTheOther(thrown);
  return isTlsFailure(thrown);
}

/** Whether the server was reached but TLS was refused or did not come about. */
export function isTlsFailure(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const code = 'code' in thrown ? String(thrown.code) : '';
  return (
    /SSL|TLS|CERT|^EPROTO$|^ECONNRESET$|SELF_SIGNED/.test(code) ||
    /does not support SSL|establishing an SSL|secure TLS connection/.test(thrown.message)
  );
}

function tlsOptions(ssl: Ssl, { host }: HostPort, side: Side): ConnectionOptions {
  if (ssl.cert !== null && ssl.key === null)
    throw invalidConninfo(side, `a client certificate (${ssl.cert}) is given without its key (sslkey)`);
  return {
    // A root certificate is used whenever there is one, in every mode: that is what libpq does.
    rejectUnauthorized: ssl.rootCert !== null,
    ...(ssl.rootCert === null
      ? {}
      : {
          ca:
            ssl.rootCert === 'system'
              ? getCACertificates('system')
              : readPem('sslrootcert', ssl.rootCert, side),
        }),
    ...(ssl.cert !== null && ssl.key !== null
      ? { cert: readPem('sslcert', ssl.cert, side), key: readPrivateKey(ssl.key, side) }
      : {}),
    ...(ssl.minProtocol ? { minVersion: ssl.minProtocol } : {}),
    ...(ssl.maxProtocol ? { maxVersion: ssl.maxProtocol } : {}),
    // With hostaddr the driver connects to an address and sets no name by itself.
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    // verify-full checks the name the user gave; the other modes at most the chain.
    checkServerIdentity:
      ssl.mode === 'verify-full' ? (_name, cert) => checkServerIdentity(host, cert) : () => undefined,
  };
}

function readPem(parameter: string, path: string, side: Side): Buffer {
  try {
    return readFileSync(path);
  } catch (thrown) {
    const reason = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unreadable';
    throw invalidConninfo(side, `${parameter} file ${path} cannot be read (${reason})`, thrown);
  }
}

/** Refuses a key others can read, by libpq's rule: 0600, or 0640 when it belongs to root. */
function readPrivateKey(path: string, side: Side): Buffer {
  const pem = readPem('sslkey', path, side);
  const { mode, uid } = statSync(path);
  if ((mode & (uid === 0 ? 0o037 : 0o077)) !== 0)
    throw invalidConninfo(side, `key file ${path} can be read by others (chmod 600 ${path})`);
  return pem;
}
