/** A run of oids, both ends included. Oids fit into 32 bits, so numbers hold them exactly. */
export interface OidRange {
  readonly first: number;
  readonly last: number;
}

/** No object has oid 0. */
export const ALL_OIDS: OidRange = { first: 1, last: 2 ** 32 - 1 };

/** What is left of the range without these oids, in order. Pure. */
export function without({ first, last }: OidRange, oids: Iterable<number>): OidRange[] {
  const left: OidRange[] = [];
  let from = first;
  for (const oid of [...oids].toSorted((a, b) => a - b)) {
    if (oid > from) left.push({ first: from, last: oid - 1 });
    from = oid + 1;
  }
  if (from <= last) left.push({ first: from, last });
  return left;
}
