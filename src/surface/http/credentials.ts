/** How a request says who asks: an API token in the Authorization header, or the cookie of a session with its CSRF token. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../base/errors/app-error.ts';
import { LONGEST_SECONDS, type Credentials } from '../../service/account/sessions.ts';
import { isCsrfTokenOf } from '../../service/account/tokens.ts';

/** Browsers hold `__Host-` cookies to one host and to TLS. */
function cookieName(isSecure: boolean): string {
  return isSecure ? '__Host-opendts_session' : 'opendts_session';
}

/** Null when there are none. Throws NOT_LOGGED_IN for a header of another kind. */
export function readCredentials(request: FastifyRequest, isSecure: boolean): Credentials | null {
  const header = request.headers.authorization;
  if (header !== undefined) {
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (token === undefined) throw new AppError('NOT_LOGGED_IN');
    return { kind: 'token', token };
  }
  const wanted = `${cookieName(isSecure)}=`;
  const cookie = (request.headers.cookie ?? '')
    .split(';')
    .map((one) => one.trim())
    .find((one) => one.startsWith(wanted));
  return cookie === undefined ? null : { kind: 'session', token: cookie.slice(wanted.length) };
}

/** A browser sends the cookie along whoever made the page; only a page of ours knows the token. Throws CSRF_TOKEN_WRONG. */
export function requireCsrfToken(request: FastifyRequest, credentials: Credentials | null): void {
  if (credentials?.kind !== 'session') return;
  const given = request.headers['x-csrf-token'];
  if (typeof given !== 'string' || !isCsrfTokenOf(credentials.token, given))
    throw new AppError('CSRF_TOKEN_WRONG');
}

export function setSession(reply: FastifyReply, token: string, isSecure: boolean): void {
  reply.header('set-cookie', cookie(token, LONGEST_SECONDS, isSecure));
}

export function clearSession(reply: FastifyReply, isSecure: boolean): void {
  reply.header('set-cookie', cookie('', 0, isSecure));
}

function cookie(value: string, seconds: number, isSecure: boolean): string {
  const secure = isSecure ? '; Secure' : '';
  return `${cookieName(isSecure)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}
