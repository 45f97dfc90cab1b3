/** A name for an index or a constraint, as a server chooses one: `orders_pkey`, `orders_pkey1`. Pure. */

/** What a server makes of a longer name (NAMEDATALEN). */
const NAME_BYTES = 63;

/** Of these parts, cut where they are too long together; a number behind it where it is taken. It is taken then. */
export function freeName(parts: readonly string[], label: string, taken: Set<string>): string {
  for (let count = 0; ; count++) {
    const name = joined(parts, count === 0 ? label : `${label}${count}`);
    if (taken.has(name)) continue;
    taken.add(name);
    return name;
  }
}

/** The longest part loses first. */
function joined(parts: readonly string[], label: string): string {
  const kept = [...parts];
  const name = () => [...kept, label].join('_');
  while (Buffer.byteLength(name()) > NAME_BYTES) {
    const sizes = kept.map((part) => Buffer.byteLength(part));
    const longest = sizes.lastIndexOf(Math.max(...sizes));
    kept[longest] = (kept[longest] ?? '').replace(/.$/su, '');
  }
  return name();
}
