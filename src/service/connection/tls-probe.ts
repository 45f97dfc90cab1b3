/** Asks a server for TLS as the driver will, and says what it answers: which protocol, whose certificate, until when. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { HostPort } from '../../engine/pg/conninfo/conninfo.ts';

/** The length 8, and the number that no protocol version has. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Rejects with what the network says, or ETIMEDOUT. */
export async function openTcp({ host, address, port }: HostPort, timeoutMs: number): Promise<Socket> {
  const socket = connectTcp({ host: address ?? host, port });
  // One that comes while nobody waits must not end the process.
  socket.on('error', () => {});
  await settled(socket, 'connect', timeoutMs);
  return socket;
}

/** Null when the server does not speak TLS. */
export async function openTls(
  socket: Socket,
  options: ConnectionOptions,
  timeoutMs: number,
): Promise<TLSSocket | null> {
  socket.write(SSL_REQUEST);
  await settled(socket, 'readable', timeoutMs);
  const answer = socket.read(1) as Buffer | null;
  if (answer?.toString('latin1') !== 'S') return null;
  const secure = connectTls({ ...options, socket });
  secure.on('error', () => {});
  await settled(secure, 'secureConnect', timeoutMs);
  return secure;
}

/** `TLSv1.3, certificate of db.example, valid until 2027-01-01` */
export function describeTls(secure: TLSSocket): string {
  const certificate = secure.getPeerCertificate();
  const subject = [certificate.subject?.CN].flat()[0] ?? 'nobody named';
  const until = new Date(certificate.valid_to);
  const date = Number.isNaN(until.getTime()) ? 'unknown' : until.toISOString().slice(0, 10);
  const trust = secure.authorized ? 'verified' : 'not verified';
  return `${secure.getProtocol()}, certificate of ${subject} until ${date}, ${trust}`;
}

function settled(
  socket: Socket,
  event: 'connect' | 'readable' | 'secureConnect',
  timeoutMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (end: () => void) => {
      clearTimeout(timer);
      socket.off('error', failed).off('close', closed).off(event, met);
      end();
    };
    const met = () => done(resolve);
    const failed = (error: Error) => done(() => reject(error));
    const closed = () =>
      failed(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }));
    const timer = setTimeout(() => {
      failed(Object.assign(new Error('timeout expired'), { code: 'ETIMEDOUT' }));
      socket.destroy();
    }, timeoutMs);
    socket.once('error', failed).once('close', closed).once(event, met);
  });
}
