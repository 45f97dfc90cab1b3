/** The encodings of both databases: text is converted through UTF-8, and what has no place in the target stops its table. */
import type { Session } from '../../pg/session.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

async function encodingOf(session: Session): Promise<string> {
  const row = await session.one(
    `SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding FROM pg_catalog.pg_database d
      WHERE d.datname = pg_catalog.current_database()`,
  );
  return row.encoding ?? '';
}

export const encoding: Check = {
  name: 'encoding',
  async run({ source, target }) {
    const [from, to] = [await encodingOf(source), await encodingOf(target)];
    const evidence = `source ${from}, target ${to}`;
    if (from === to)
      return [finding(this.name, 'passed', { what: 'both databases have the same encoding', evidence })];
    const what =
      from === 'SQL_ASCII'
        ? 'the source does not know its encoding: bytes that are not valid UTF-8 will stop their table'
        : to === 'UTF8'
          ? 'the encodings differ: text is converted'
          : 'the encodings differ: a character that the target cannot hold will stop its table';
    return [
      finding(this.name, 'alert', {
        what,
        evidence,
        fix: `CREATE DATABASE … ENCODING '${from}' TEMPLATE template0;   -- as target`,
      }),
    ];
  },
};
