/** A piece of a list: so many rows behind a place in its order. */
export interface Page {
  /** The key of the last row before; null at the beginning. */
  readonly after: string | null;
  readonly limit: number;
}
