/** Source and target must not be one database: the copy would find its own rows. */
import { identify, isSameDatabase } from '../../pg/identity.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

export const sameDatabase: Check = {
  name: 'same_database',
  async run({ source, target }) {
    const [from, to] = [await identify(source), await identify(target)];
    const evidence = `source: system ${from.systemIdentifier}, database "${from.database}"; target: system ${to.systemIdentifier}, database "${to.database}"`;
    return [
      isSameDatabase(from, to)
        ? finding(this.name, 'failed', {
            what: 'source and target are the same database',
            evidence,
            fix: '-- correct --source or --target',
          })
        : finding(this.name, 'passed', { what: 'source and target are two databases', evidence }),
    ];
  },
};
