/** Passwords as scrypt with a salt; the parameters stand in the hash, so that they may grow. */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** 32 MB and three rounds: as hard as OWASP asks for, in memory that a small machine has for several at once. */
const COST = { log2N: 15, r: 8, p: 3 };
const LENGTH = 32;

interface Parameters {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
}

/** `scrypt$15$8$3$salt$hash` */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await run(password, salt, COST);
  return ['scrypt', COST.log2N, COST.r, COST.p, salt.toString('base64'), hash.toString('base64')].join('$');
}

/** Takes as long for an account that does not exist (null) as for one that does. */
export async function isPassword(password: string, stored: string | null): Promise<boolean> {
  const [kind, log2N, r, p, salt = '', hash = ''] = (stored ?? '').split('$');
  if (kind !== 'scrypt') {
    await run(password, randomBytes(16), COST);
    return false;
  }
  const wanted = Buffer.from(hash, 'base64');
  const found = await run(password, Buffer.from(salt, 'base64'), {
    log2N: Number(log2N),
    r: Number(r),
    p: Number(p),
  });
  return wanted.length === found.length && timingSafeEqual(wanted, found);
}

function run(password: string, salt: Buffer, { log2N, r, p }: Parameters): Promise<Buffer> {
  const N = 2 ** log2N;
  // One text may have several forms in Unicode: what is typed on another machine is the same password.
  return derive(password.normalize('NFC'), salt, LENGTH, { N, r, p, maxmem: 256 * N * r });
}
