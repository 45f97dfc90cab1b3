/**
 * What may make the applier grow (data-plane I4): a transaction of many changes, a row of hundreds of megabytes, thousands of tables. Each
 * part is a migration that is in step, then changes that wait in the slot, then a run of the command line that applies them and is watched.
 */
import type { Session } from '../../src/engine/pg/session.ts';
import type { Cli } from '../faults/cli.ts';
import { watchPeak } from './peak.ts';

export interface Sizes {
  /** In one transaction. */
  readonly changes: number;
  /** Of one value. */
  readonly megabytes: number;
  readonly tables: number;
}

export interface Part {
  readonly name: string;
  /** Statements on the empty source, one after the other. */
  readonly setup: readonly string[];
  /** Statements once the migration is in step, each a transaction. */
  readonly changes: readonly string[];
  /** The largest message on the wire, about. */
  readonly messageBytes: number;
}

export interface Measured {
  readonly part: Part;
  readonly peakBytes: number;
  readonly boundBytes: number;
  readonly wallMs: number;
}

const MB = 1024 * 1024;
/** Besides the largest message. */
export const BOUND_BYTES = 400 * MB;

/** Of every byte that some form of text has to escape. */
const NASTY = String.raw`\"',{}	`;

export function applyParts({ changes, megabytes, tables }: Sizes): readonly Part[] {
  const value = (seed: string) => `repeat('${seed}', ${Math.floor((megabytes * MB) / seed.length)})`;
  const big = (more: string) =>
    `CREATE TABLE big (id int PRIMARY KEY, n int, v text); ALTER TABLE big ALTER v SET STORAGE EXTERNAL${more}`;
  const full = '; ALTER TABLE big REPLICA IDENTITY FULL';
  const [inserts, updates] = [Math.floor(changes / 2), Math.floor((changes * 3) / 10)];
  const deletes = changes - inserts - updates;
  const each = (from: number, sql: (table: string) => string) =>
    Array.from({ length: Math.min(500, tables - from) }, (_, at) => sql(`t${from + at}`)).join('; ');
  const groups = Array.from({ length: Math.ceil(tables / 500) }, (_, at) => at * 500);
  const columns = Array.from({ length: 10 }, (_, at) => `column_number_${at} text`).join(', ');
  return [
    {
      name: `${changes} changes in one transaction`,
      setup: [
        `CREATE TABLE many (id int PRIMARY KEY, n int, v text); INSERT INTO many SELECT i, 0, md5(i::text) FROM generate_series(1, 1000) i`,
      ],
      changes: [
        `INSERT INTO many SELECT i, 0, md5(i::text) FROM generate_series(1001, ${1000 + inserts}) i; UPDATE many SET n = 1 WHERE id > ${1000 + inserts - updates}; DELETE FROM many WHERE id > 1000 AND id <= ${1000 + deletes}`,
      ],
      messageBytes: 0,
    },
    {
      name: `a row of ${megabytes} MB comes, changes and goes`,
      setup: [big('')],
      changes: [
        `INSERT INTO big VALUES (1, 0, ${value('plain text ')})`,
        `UPDATE big SET n = 1; UPDATE big SET v = ${value(NASTY.replaceAll("'", "''"))}`,
        'UPDATE big SET id = 2, n = 2',
        `DELETE FROM big; INSERT INTO big VALUES (3, 0, ${value('again ')})`,
      ],
      messageBytes: megabytes * MB,
    },
    {
      name: `a row of ${megabytes} MB changes under REPLICA IDENTITY FULL`,
      setup: [`${big(full)}; INSERT INTO big VALUES (1, 0, ${value('before ')})`],
      changes: ['UPDATE big SET n = 1', `UPDATE big SET v = ${value('after ')}`, 'DELETE FROM big'],
      messageBytes: 2 * megabytes * MB,
    },
    {
      name: `changes of ${tables} tables`,
      setup: groups.map((from) =>
        each(from, (table) => `CREATE TABLE ${table} (id int PRIMARY KEY, ${columns})`),
      ),
      changes: groups.flatMap((from) => [
        each(
          from,
          (table) => `INSERT INTO ${table} (id, column_number_1) SELECT i, 'v' FROM generate_series(1, 3) i`,
        ),
        each(from, (table) => `UPDATE ${table} SET column_number_2 = 'w' WHERE id = 2`),
      ]),
      messageBytes: 0,
    },
  ];
}

export interface Databases {
  readonly source: Session;
  /** `--source … --target …` */
  readonly ends: readonly string[];
}

/** Throws when a run of the command line fails, or the ends differ. */
export async function measurePart(cli: Cli, part: Part, { source, ends }: Databases): Promise<Measured> {
  for (const sql of part.setup) await source.query(`BEGIN; ${sql}; COMMIT`);
  const args = [...ends, '--until', 'caught-up', '--capture-ddl', 'off'];
  await cli.mustRun('migrate', args);
  for (const sql of part.changes) await source.query(`BEGIN; ${sql}; COMMIT`);
  const started = performance.now();
  const running = cli.run('migrate', args);
  const peakBytes = await watchPeak(running);
  const wallMs = performance.now() - started;
  const end = await running.ended;
  if (end !== 0) throw new Error(`opendts migrate ended with ${end}:\n${running.output()}`);
  await cli.mustRun('verify', ends);
  return { part, peakBytes, boundBytes: BOUND_BYTES + part.messageBytes, wallMs };
}
