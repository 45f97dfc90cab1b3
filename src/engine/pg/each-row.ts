/** Gives the rows of an answer away one by one, as the driver reads them: the answer as a whole is held nowhere. */
import pg from 'pg';

/** `text` is given every value that is not null. Rejects with what the driver says, or with what `take` has thrown. */
export function eachRow<R extends pg.QueryResultRow>(
  client: pg.Client,
  { sql, text }: { readonly sql: string; readonly text: (value: string) => string },
  take: (row: R) => void,
): Promise<void> {
  const query = new pg.Query<R>({ text: sql, types: { getTypeParser: () => text } });
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
