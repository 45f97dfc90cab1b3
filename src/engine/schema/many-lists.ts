/** Many short lists by key, kept as two long ones: an array or a set for each key would take several times what stands in it. */
export class ManyLists<K, V extends string> {
  /** The place of the last value of each list. */
  private readonly last = new Map<K, number>();
  private readonly values: V[] = [];
  /** Of each value the place of the one before it in its list; -1: none. */
  private readonly before: number[] = [];

  add(key: K, value: V): void {
    this.before.push(this.last.get(key) ?? -1);
    this.last.set(key, this.values.push(value) - 1);
  }

  /** In the order in which they were added, each once. */
  of(key: K): readonly V[] {
    const found: V[] = [];
    for (let at = this.last.get(key) ?? -1; at >= 0; at = this.before[at] ?? -1) {
      const value = this.values[at];
      if (value !== undefined) found.push(value);
    }
    return found.length < 2 ? found : [...new Set(found.reverse())];
  }
}
