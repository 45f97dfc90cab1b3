/** Log sequence numbers: a position in the source's WAL, as a branded bigint. https://www.postgresql.org/docs/current/datatype-pg-lsn.html */

export type Lsn = bigint & { readonly __brand: 'Lsn' };

export const LSN_ZERO = 0n as Lsn;

/** Parses `16/B374D848`; throws on anything else. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  if (!match) throw new Error(`not an LSN: ${text}`);
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

export function lsnFrom(value: bigint): Lsn {
  return value as Lsn;
}
