/** Large objects (lo_create, \lo_import) live outside of tables: they are copied with the whole database, and never followed. */
import type { Session } from '../../pg/session.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, finding, listed } from '../finding.ts';

const PAGE = 10_000;

export const largeObjects: Check = {
  name: 'large_objects',
  async run(context) {
    const { source, types, wholeDatabase, conflict } = context;
    if (!types.has('full')) return [];
    const { count } = await source.one(
      'SELECT count(*)::text AS count FROM pg_catalog.pg_largeobject_metadata',
    );
    if (count === '0') return [finding(this.name, 'passed', { what: 'the source has no large objects' })];
    const evidence = counted(Number(count), 'large object');
    if (!wholeDatabase) {
      const what = 'large objects are copied only with the whole database: not by this migration';
      return [finding(this.name, 'alert', { what, evidence })];
    }
    const what = types.has('incremental')
      ? 'large objects are copied once, without their grants; changes of them are not followed'
      : 'large objects are copied, without their grants';
    const present = await onBothEnds(context);
    return [
      finding(this.name, 'alert', { what, evidence }),
      ...(present.length > 0 ? [presentAlready(present, conflict)] : []),
    ];
  },
};

/** Oids that both ends have. The target's are asked for first: mostly it has none. */
async function onBothEnds({ source, target }: CheckContext): Promise<string[]> {
  const both: string[] = [];
  let after = '0';
  for (;;) {
    const page = await existing(target, `m.oid > $1::pg_catalog.oid ORDER BY m.oid LIMIT ${PAGE}`, after);
    const last = page.at(-1);
    if (last === undefined) return both;
    both.push(...(await existing(source, 'm.oid = ANY ($1::pg_catalog.oid[])', `{${page.join(',')}}`)));
    after = last;
  }
}

async function existing(session: Session, where: string, value: string): Promise<string[]> {
  const rows = await session.query(
    `SELECT m.oid::text AS oid FROM pg_catalog.pg_largeobject_metadata m WHERE ${where}`,
    [value],
  );
  return rows.map(({ oid }) => oid ?? '');
}

/** C7. */
function presentAlready(oids: readonly string[], conflict: CheckContext['conflict']): Finding {
  const what = `the target already has ${counted(oids.length, 'large object')} with the same oid`;
  const evidence = listed(oids);
  return conflict === 'ignore'
    ? finding(largeObjects.name, 'alert', { what: `${what}: kept as they are`, evidence })
    : finding(largeObjects.name, 'failed', {
        what,
        evidence,
        fix: '# remove them on the target: SELECT lo_unlink(OID); or keep them with --types full --conflict ignore',
      });
}
