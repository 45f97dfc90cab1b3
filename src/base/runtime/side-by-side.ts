/** Shares work out to a few workers that each take the next piece when they are free. */

/**
 * Starts up to `workers` of them (no more than there are pieces). Each is handed one iterator over what is still waiting, common to all.
 * Rejects with the first failure once all have ended; the others stop taking pieces then.
 */
export async function sideBySide<T>(
  pieces: readonly T[],
  workers: number,
  work: (waiting: Iterable<T>) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  function* waiting(): Generator<T> {
    while (failures.length === 0 && next < pieces.length) yield pieces[next++] as T;
  }
  const one = async () => {
    try {
      await work(waiting());
    } catch (thrown) {
      failures.push(thrown);
    }
  };
  await Promise.all(Array.from({ length: Math.min(workers, pieces.length) }, one));
  if (failures.length > 0) throw failures[0];
}
