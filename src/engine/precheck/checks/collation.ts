/** Default collation and its provider: where they differ, text sorts and compares differently. */
import type { Session } from '../../pg/session.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

const PROVIDERS: Readonly<Record<string, string>> = { c: 'libc', i: 'icu', b: 'builtin' };

async function defaultCollation(session: Session): Promise<string> {
  const provider = session.version >= 150_000 ? 'd.datlocprovider::text' : "'c'";
  const locale =
    session.version >= 170_000 ? 'd.datlocale' : session.version >= 150_000 ? 'd.daticulocale' : 'NULL::text';
  const row = await session.one(
    `SELECT ${provider} AS provider, coalesce(${locale}, d.datcollate)::text AS locale, d.datctype::text AS ctype
       FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`,
  );
  return `${PROVIDERS[row.provider ?? ''] ?? row.provider} ${row.locale}, ctype ${row.ctype}`;
}

export const collation: Check = {
  name: 'collation',
  async run({ source, target }) {
    const [from, to] = [await defaultCollation(source), await defaultCollation(target)];
    const evidence = `source ${from}; target ${to}`;
    return [
      from === to
        ? finding(this.name, 'passed', { what: 'both databases have the same default collation', evidence })
        : finding(this.name, 'alert', {
            what: 'the default collations differ: text sorts differently, and range conditions over text may select other rows',
            evidence,
          }),
    ];
  },
};
