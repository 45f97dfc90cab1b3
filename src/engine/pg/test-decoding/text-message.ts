/** The messages of test_decoding as they come: text, and where the server says that it lies. */
import { lsnFrom, type Lsn } from '../../change/lsn.ts';
import { WAL_DATA_HEADER, type MessageDecoder } from '../slot/decoder.ts';

export interface TextMessage {
  readonly kind: 'text';
  /** One character per byte. */
  readonly text: string;
  /** Of a COMMIT: the end of its record. */
  readonly at: Lsn;
}

export const textDecoder: MessageDecoder<TextMessage> = {
  settings: `"include-xids" 'on', "include-timestamp" 'on', "skip-empty-xacts" 'on'`,
  decode: (bytes, begin, end) => ({
    kind: 'text',
    text: bytes.toString('latin1', begin, end),
    at: lsnFrom(bytes.readBigUInt64BE(begin - WAL_DATA_HEADER + 1)),
  }),
};

/** The transaction that a BEGIN opens; null for any other message. */
export function begunXid(text: string): number | null {
  if (!text.startsWith('BEGIN ')) return null;
  const xid = Number(text.slice(6));
  if (!Number.isInteger(xid)) throw new RangeError('a transaction without a number');
  return xid;
}

export function isCommit(text: string): boolean {
  return text.startsWith('COMMIT ');
}
