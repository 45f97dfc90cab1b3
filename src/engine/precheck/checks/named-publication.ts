/**
 * The publication that the user wants changes read through: it must bring every change of every selected table, as it was written. The
 * server looks it up as it was when a change was made: what was changed before the publication held the table is left out, in silence
 * (where the whole publication is missing, up to 17 with an error).
 */
import { displayName } from '../../change/relation.ts';
import { formatLsn } from '../../change/lsn.ts';
import { ident, literal, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import { readUserSlot } from '../../source/start-position.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { followed, identityFindings } from '../followed-tables.ts';
import { counted, finding, listed, listedTables, oidArray } from '../finding.ts';

const NAME = 'publication';

export const namedPublication: Check = {
  name: NAME,
  async run(context) {
    const { source, types, publication, start, tables } = context;
    if (!types.has('incremental')) return [];
    if (publication === undefined) return start ? needsOne(context) : [];
    if (context.decoder === 'test_decoding')
      return [
        finding(NAME, 'failed', {
          what: `changes decoded by test_decoding do not go through a publication`,
          evidence: `publication ${publication} is named`,
          fix: '-- leave out --publication, or --decoder',
        }),
      ];
    const [row] = await source.query(
      `SELECT p.oid::text AS oid, p.pubinsert AND p.pubupdate AND p.pubdelete${source.version >= 110_000 ? ' AND p.pubtruncate' : ''} AS all_operations,
              ${source.version >= 130_000 ? 'p.pubviaroot' : 'false'} AS via_root
         FROM pg_catalog.pg_publication p WHERE p.pubname = $1`,
      [publication],
    );
    if (!row)
      return [
        finding(NAME, 'failed', {
          what: `the source has no publication "${publication}"`,
          evidence: 'not in pg_publication',
          fix: create(publication, context),
        }),
      ];
    const findings: Finding[] = [];
    if (row.all_operations !== 't')
      findings.push(
        finding(NAME, 'failed', {
          what: `publication ${publication} leaves operations out`,
          evidence: 'insert, update, delete and truncate are needed',
          fix: `ALTER PUBLICATION ${ident(publication)} SET (publish = '${operations(source.version)}');`,
        }),
      );
    if (row.via_root === 't' && tables.some(({ isPartition }) => isPartition))
      findings.push(
        finding(NAME, 'failed', {
          what: `publication ${publication} sends changes of partitions under the name of their partitioned table`,
          evidence: 'publish_via_partition_root = true',
          fix: `ALTER PUBLICATION ${ident(publication)} SET (publish_via_partition_root = false);`,
        }),
      );
    findings.push(...(await lacking(context, publication, row.via_root === 't')));
    findings.push(...(await cut(source, publication, context)));
    if (start) findings.push(...(await younger(context, publication, row.oid ?? '0')));
    return findings.length > 0
      ? findings
      : [
          finding(NAME, 'passed', {
            what: `publication ${publication} brings every change of the selected tables`,
          }),
        ];
  },
};

function operations(version: number): string {
  return version >= 110_000 ? 'insert, update, delete, truncate' : 'insert, update, delete';
}

function create(publication: string, context: CheckContext): string {
  return `CREATE PUBLICATION ${ident(publication)} FOR TABLE ${followed(context.tables).map(qname).join(', ')} WITH (publish = '${operations(context.source.version)}');`;
}

/** Ours would be made now, and so be unknown where the slot stands. */
async function needsOne({ source, start }: CheckContext): Promise<Finding[]> {
  const slot = start ? await readUserSlot(source, start.slot) : null;
  if (slot?.decoder !== 'pgoutput') return [];
  const there = await source.query('SELECT pubname FROM pg_catalog.pg_publication ORDER BY pubname');
  return [
    finding(NAME, 'failed', {
      what: 'a slot that was there before needs the publication that was there before too: for changes made until then, one made now does not exist',
      evidence: `publications of the source: ${listed(there.map(({ pubname }) => pubname ?? '')) || 'none'}`,
      fix: [
        '--publication <name of the one that was there when the slot was made>',
        ...copied(source, start),
      ].join('\n'),
    }),
  ];
}

/** A copy of the slot with a decoder that needs no publication (12+). */
function copied(source: Session, start: CheckContext['start']): string[] {
  if (!start || source.version < 120_000) return [];
  return [
    '-- or with a copy of the slot that needs no publication, as --slot:',
    `SELECT pg_copy_logical_replication_slot(${literal(start.slot)}, 'copy_for_opendts', false, 'test_decoding');`,
  ];
}

async function lacking(context: CheckContext, publication: string, viaRoot: boolean): Promise<Finding[]> {
  const rows = await context.source.query(
    'SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables WHERE pubname = $1',
    [publication],
  );
  const members = new Set(rows.map((row) => `${row.schemaname}.${row.tablename}`));
  const missing = followed(context.tables).filter(
    // Partitions are not listed there when they go by another name, which is a finding of its own.
    (table) => !(viaRoot && table.isPartition) && !members.has(displayName(table)),
  );
  return [
    ...(missing.length > 0
      ? [
          finding(NAME, 'failed', {
            what: `publication ${publication} lacks ${counted(missing.length, 'selected table')}`,
            evidence: listedTables(missing),
            fix: context.start
              ? '-- leave these tables out: their changes since the position of the slot are not sent'
              : `ALTER PUBLICATION ${ident(publication)} ADD TABLE ${missing.map(qname).join(', ')};`,
          }),
        ]
      : []),
    ...identityFindings(NAME, context.tables),
  ];
}

/** Row filters and column lists (15+) of the publication. */
async function cut(source: Session, publication: string, context: CheckContext): Promise<Finding[]> {
  if (source.version < 150_000) return [];
  const rows = await source.query(
    `SELECT r.prrelid::text AS oid FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
      WHERE p.pubname = $1 AND r.prrelid = ANY ($2::oid[]) AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)`,
    [publication, oidArray(context.tables)],
  );
  if (rows.length === 0) return [];
  const oids = new Set(rows.map(({ oid }) => Number(oid)));
  const tables = context.tables.filter(({ oid }) => oids.has(oid));
  return [
    finding(NAME, 'failed', {
      what: `publication ${publication} leaves out rows or columns of ${counted(tables.length, 'selected table')}`,
      evidence: listedTables(tables),
      fix: `ALTER PUBLICATION ${ident(publication)} DROP TABLE ${tables.map(qname).join(', ')};\nALTER PUBLICATION ${ident(publication)} ADD TABLE ${tables.map(qname).join(', ')};`,
    }),
  ];
}

/**
 * Whether the publication, with its tables, is certainly older than what the slot holds: written by transactions that had ended when the
 * slot began to keep the catalog. One that is not may still be, if it was made while an older transaction was running: then the user
 * says so by naming the position.
 */
async function younger(context: CheckContext, publication: string, oid: string): Promise<Finding[]> {
  const { source, start, tables } = context;
  const slot = start ? await readUserSlot(source, start.slot) : null;
  if (!slot || !start) return [];
  const members = [
    `SELECT 'the publication itself' AS what, xmin FROM pg_catalog.pg_publication WHERE oid = ${literal(oid)}::oid`,
    `SELECT 'table ' || prrelid::regclass::text, xmin FROM pg_catalog.pg_publication_rel WHERE prpubid = ${literal(oid)}::oid AND prrelid = ANY (${literal(oidArray(tables))}::oid[])`,
    ...(source.version >= 150_000
      ? [
          `SELECT 'schema ' || pnnspid::regnamespace::text, xmin FROM pg_catalog.pg_publication_namespace WHERE pnpubid = ${literal(oid)}::oid`,
        ]
      : []),
  ];
  const rows = await source.query(
    `SELECT m.what FROM (${members.join(' UNION ALL ')}) m
      WHERE pg_catalog.age(m.xmin) <= pg_catalog.age(${literal(slot.catalogXmin)}::pg_catalog.xid) ORDER BY m.what`,
  );
  if (rows.length === 0) return [];
  const at = formatLsn(start.lsn ?? slot.held);
  return [
    finding(NAME, start.lsn === null ? 'failed' : 'alert', {
      what: `publication ${publication} was made or changed after replication slot ${start.slot}, as far as can be told: changes made before that would be left out in silence`,
      evidence: `not older than the slot: ${listed(rows.map(({ what }) => what ?? ''))}`,
      fix: [
        '-- name a publication that was there before the slot, and before the transactions that ran when the slot was made;',
        '-- or begin where this one was there already:',
        start.lsn === null ? `--start-lsn ${at}` : `-- only if it was as it is now at ${at}`,
        ...copied(source, start),
      ].join('\n'),
    }),
  ];
}
