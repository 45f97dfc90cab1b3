/** Source and target must not be one database: the copy would find its own rows. */
import { identify } from '../pg/identity.ts';
import type { Check } from './check.ts';
import { finding } from './finding.ts';

export const sameDatabase: Check = {
  name: 'same_database',
  async run({ source, target }) {
    const [from, to] = [await identify(source), await identify(target)];
    const evidence = `source: system ${from.systemIdentifier}, database "${from.database}"; target: system ${to.systemIdentifier}, database "${to.database}"`;
    // A storage clone of a server looks the same from here and is refused too: mistaken ends are far more common.
    const same =
      from.systemIdentifier === to.systemIdentifier &&
      from.databaseOid === to.databaseOid &&
      from.database === to.database;
    return [
      same
        ? finding(this.name, 'failed', {
            what: 'source and target are the same database',
            evidence,
            fix: '-- correct --source or --target',
          })
        : finding(this.name, 'passed', { what: 'source and target are two databases', evidence }),
    ];
  },
};
