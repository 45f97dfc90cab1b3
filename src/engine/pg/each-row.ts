/** Gives the rows of an answer away one by one, as the driver reads them: the answer as a whole is held nowhere. */
import pg from 'pg';

export interface EachOptions {
  /** With them through the extended protocol. */
  readonly values?: readonly (string | null)[];
  /** Is given every text of the answer, which may be one string with others. */
  readonly text?: (value: string) => string;
}

/** Rejects with what the driver says, or with what `take` has thrown. */
export function eachRow<R extends pg.QueryResultRow>(
  client: pg.Client,
  sql: string,
  { values = [], text = (value) => value, take }: EachOptions & { readonly take: (row: R) => void },
): Promise<void> {
  const types = { getTypeParser: () => text };
  const query = new pg.Query<R>({ text: sql, values: [...values], types });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let thrown: { readonly error: unknown } | null = null;
  query.on('row', (row) => {
    if (thrown !== null) return;
    try {
      take(row);
    } catch (error) {
      // It would go up through the driver to the socket, and end the process.
      thrown = { error };
    }
  });
  query.on('error', reject);
  query.on('end', () => (thrown === null ? resolve() : reject(thrown.error)));
  client.query(query);
  return promise;
}
