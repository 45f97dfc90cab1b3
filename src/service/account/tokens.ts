/** Random tokens: whoever has one is let in, so the store keeps only a hash. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 256 random bits: a plain hash cannot be turned back. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

const API_TOKEN = /^opendts_[A-Za-z0-9_-]{43}$/;

/** Its first characters are shown, by which it is known again; scanners for leaked secrets know it by its beginning. */
export function newApiToken(): { readonly token: string; readonly prefix: string } {
  const token = `opendts_${newToken()}`;
  return { token, prefix: token.slice(0, 14) };
}

export function isApiToken(text: string): boolean {
  return API_TOKEN.test(text);
}

/** For a person to type once: 144 bits. */
export function oneTimePassword(): string {
  return randomBytes(18).toString('base64url');
}

/** Made from the session's token, which other sites can neither read nor guess: nothing to be kept. */
export function csrfTokenOf(sessionToken: string): string {
  return createHash('sha256').update(`csrf ${sessionToken}`).digest('base64url');
}

export function isCsrfTokenOf(sessionToken: string, given: string): boolean {
  const [wanted, found] = [Buffer.from(csrfTokenOf(sessionToken)), Buffer.from(given)];
  return wanted.length === found.length && timingSafeEqual(wanted, found);
}
