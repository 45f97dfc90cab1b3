/**
 * Seals secrets: AES-256-GCM, bound to the connection they belong to. A keyring holds one key a line, base64: the first seals, all of them
 * open. It is read again when a secret names a key that it does not know: another node may have added one.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { AppError } from '../../base/errors/app-error.ts';

const BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface Key {
  /** The beginning of its hash: says which one it is and nothing else. */
  readonly id: string;
  readonly bytes: Buffer;
}

export interface SealedSecret {
  readonly keyId: string;
  /** Nonce, tag and ciphertext as base64. */
  readonly sealed: string;
}

/** Where the text of a keyring comes from. */
export type KeySource = { readonly text: string } | { readonly file: string };

export class Keyring {
  private readonly source: KeySource;
  private keys: readonly [Key, ...Key[]];

  /** Throws SEALING_KEY_INVALID. */
  constructor(source: KeySource) {
    this.source = source;
    this.keys = read(source);
  }

  get activeId(): string {
    return this.keys[0].id;
  }

  /** `connectionId` must be given again to open it: a sealed secret is of no use in another row. */
  seal(secret: string, connectionId: string): SealedSecret {
    const [{ id, bytes }] = this.keys;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', bytes, nonce).setAAD(boundTo(connectionId));
    const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return { keyId: id, sealed: Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64') };
  }

  /** Throws SEALING_KEY_UNKNOWN, also for a secret that was tampered with. */
  open({ keyId, sealed }: SealedSecret, connectionId: string): string {
    const bytes = Buffer.from(sealed, 'base64');
    const [tagAt, textAt] = [NONCE_BYTES, NONCE_BYTES + TAG_BYTES];
    const decipher = createDecipheriv('aes-256-gcm', this.find(keyId), bytes.subarray(0, tagAt), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(boundTo(connectionId)).setAuthTag(bytes.subarray(tagAt, textAt));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(textAt)), decipher.final()]).toString('utf8');
    } catch (thrown) {
      throw new AppError('SEALING_KEY_UNKNOWN', { keyId }, thrown);
    }
  }

  /** A digest that only who has the key can make: what was digested cannot be guessed at from it. */
  digest(text: string): string {
    const own = createHmac('sha256', this.keys[0].bytes).update('opendts digest').digest();
    return createHmac('sha256', own).update(text).digest('base64url');
  }

  has(keyId: string): boolean {
    if (!this.keys.some(({ id }) => id === keyId)) this.keys = read(this.source);
    return this.keys.some(({ id }) => id === keyId);
  }

  private find(keyId: string): Buffer {
    const key = this.has(keyId) ? this.keys.find(({ id }) => id === keyId) : undefined;
    if (!key) throw new AppError('SEALING_KEY_UNKNOWN', { keyId });
    return key.bytes;
  }
}

function boundTo(connectionId: string): Buffer {
  return Buffer.from(`opendts connection ${connectionId}`);
}

function read(source: KeySource): readonly [Key, ...Key[]] {
  const lines = ('text' in source ? source.text : readKeyFile(source.file)).split(/\s+/).filter(Boolean);
  const [first, ...others] = lines.map((line, at): Key => {
    const bytes = Buffer.from(line, 'base64');
    if (bytes.length !== BYTES || !/^[A-Za-z0-9+/]{43}=$/.test(line))
      throw new AppError('SEALING_KEY_INVALID', { problem: `key ${at + 1} is not ${BYTES} bytes as base64` });
    return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 12), bytes };
  });
  if (!first) throw new AppError('SEALING_KEY_INVALID', { problem: 'there is none' });
  return [first, ...others];
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    const reason = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unreadable';
    throw new AppError('SEALING_KEY_INVALID', { problem: `${file} cannot be read (${reason})` }, thrown);
  }
}

function newKey(): string {
  return `${randomBytes(BYTES).toString('base64')}\n`;
}

/** A keyring with one new key; a file that is there stays. */
export function makeKeyFile(file: string): void {
  try {
    writeFileSync(file, newKey(), { mode: 0o600, flag: 'wx' });
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
  }
}

/** Puts a new key before the others; the file is whole at every moment. */
export function addKey(file: string): void {
  const text = `${newKey()}${readKeyFile(file)}`;
  const temporary = `${file}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, file);
}
