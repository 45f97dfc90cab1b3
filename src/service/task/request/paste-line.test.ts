/** The next command, ready to paste. */
import { describe, expect, it } from 'vitest';
import { parseLsn } from '../../../engine/change/lsn.ts';
import { parseConninfo } from '../../../engine/pg/conninfo/parse.ts';
import { pasteLine, type Asked } from './paste-line.ts';

const task: Asked = {
  source: parseConninfo('postgresql://me:MARKER@old:5432/shop', 'source'),
  target: parseConninfo("host=new dbname='my shop' user=me password=MARKER", 'target'),
  types: new Set(['incremental', 'schema', 'full'] as const),
  tables: ['shop.*', 'a"b'],
  excludeTables: ['log'],
  rename: { 'shop.a': 'new.b' },
  capitalization: 'upper',
  excludeColumns: ['shop.a.secret'],
  columnTypes: { 'shop.a.n': 'numeric(20,4)' },
  primaryKeys: { 'shop.a': 'n,m' },
  operations: ['update', 'insert'],
  rules: [
    { tables: 'shop.*', filter: "region = 'EU'", operations: ['delete', 'insert'] },
    { tables: 'shop.a', filter: 'true' },
  ],
  conflict: 'ignore',
  heartbeat: false,
  captureDdl: 'off',
  replicaIdentity: 'all',
};

describe('a line to paste', () => {
  it('repeats the options, quoted for the shell, without passwords', () => {
    expect(pasteLine('migrate', task)).toBe(
      'opendts migrate --source postgresql://me@old:5432/shop --target postgresql://me@new:5432/my%20shop' +
        ` --types schema,full,incremental --table 'shop.*' 'a"b' --exclude-table log --rename shop.a=new.b --column-type 'shop.a.n=numeric(20,4)' --primary-key shop.a=n,m --exclude-column shop.a.secret --capitalization upper` +
        ` --filter 'shop.*=region = '\\''EU'\\''' shop.a=true --operations insert,update --table-operations 'shop.*=insert,delete' --conflict ignore` +
        ' --no-heartbeat --capture-ddl off --replica-identity all',
    );
  });

  it('repeats where changes begin', () => {
    const start = { slot: 'mine', lsn: null, time: 830_952_000_000_000n };
    expect(pasteLine('migrate', { ...task, publication: 'my pub', start })).toMatch(
      / --replica-identity all --publication 'my pub' --slot mine --start-time 2026-05-01T12:00:00Z$/,
    );
    expect(
      pasteLine('check', { ...task, start: { slot: 'mine', lsn: parseLsn('0/A1'), time: null } }),
    ).toMatch(/ --slot mine --start-lsn 0\/A1$/);
  });
});
