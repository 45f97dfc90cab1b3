/**
 * How much there is to move and about how long it takes, from samples: what travels is the text of the rows, which may be a multiple
 * or a fraction (compressed values) of what a table takes on disk. Reads only, and gives up sampling after a few seconds.
 */
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { qname } from '../pg/ident.ts';
import { isConnectionLoss } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { oidArray } from './finding.ts';

export interface Estimate {
  /** Tables with rows of their own: partitions count, partitioned tables do not. */
  readonly tables: number;
  readonly rows: bigint;
  /** Heap and TOAST on the source's disk, without indexes. */
  readonly relationBytes: bigint;
  /** COPY text of all rows. */
  readonly textBytes: bigint;
  readonly copySeconds: readonly [low: number, high: number];
  readonly indexSeconds: readonly [low: number, high: number];
  /** WAL the target writes for rows and indexes. */
  readonly walBytes: bigint;
}

/** MB/s of COPY text through the whole pipe, slow to fast: measured between one small virtual machine and servers with fast disks. */
export const COPY_RATE = [20, 150] as const;
/** MB/s of finished index, slow to fast: measured with maintenance_work_mem of 64 to 512 MB. Hardware and column types decide. */
const INDEX_RATE = [15, 100] as const;
const MEGABYTE = 1_000_000;

/** Sampling ends here, so that catalog queries and a last slow sample stay within 10 s altogether. */
const SAMPLING_MS = 6_000;
const SAMPLE_TIMEOUT_MS = 2_000;
/** Tables up to here are counted to the last row. */
const SMALL_PAGES = 1_000n;
const SAMPLE_PAGES = 100;
const SAMPLE_ROWS = 1_000;

interface TableSize {
  readonly table: TableInfo;
  readonly pages: bigint;
  readonly indexBytes: bigint;
  /** From statistics, scaled to today's size; null when never analyzed. */
  readonly rows: bigint | null;
}

interface Sample {
  readonly rows: bigint;
  readonly textBytes: bigint;
}

/** A row filter's condition; null: all rows count. */
type ConditionOf = (table: TableInfo) => string | null;

/** The estimate for these tables; tables that cannot be sampled (no right, no time) are taken to be like the others. */
export async function estimate(
  source: Session,
  tables: readonly TableInfo[],
  conditionOf: ConditionOf = () => null,
): Promise<Estimate> {
  const sizes = await readSizes(source, tables);
  const deadline = Date.now() + SAMPLING_MS;
  const sampled = new Map<TableSize, Sample>();
  for (const size of sizes.toSorted((a, b) => Number(b.pages - a.pages))) {
    if (Date.now() > deadline) break;
    const sample = await sampleTable(source, size, conditionOf(size.table));
    if (sample) sampled.set(size, sample);
  }
  const sum = (of: (size: TableSize) => bigint) => sizes.reduce((total, size) => total + of(size), 0n);
  const relationBytes = sum(({ table }) => table.bytes);
  const indexBytes = sum((size) => size.indexBytes);
  const likeTheOthers = proportion(sampled);
  const textBytes = sum((size) => sampled.get(size)?.textBytes ?? likeTheOthers(size.table.bytes));
  return {
    tables: sizes.length,
    rows: sum((size) => sampled.get(size)?.rows ?? size.rows ?? 0n),
    relationBytes,
    textBytes,
    copySeconds: secondsRange(textBytes, COPY_RATE),
    indexSeconds: secondsRange(indexBytes, INDEX_RATE),
    walBytes: relationBytes + indexBytes,
  };
}

function secondsRange(bytes: bigint, [slow, fast]: readonly [number, number]): readonly [number, number] {
  const megabytes = Number(bytes) / MEGABYTE;
  return [megabytes / fast, megabytes / slow];
}

/** Text bytes of a table by its bytes on disk, as in the sampled tables; one to one when there is none. */
function proportion(sampled: ReadonlyMap<TableSize, Sample>): (bytes: bigint) => bigint {
  let [disk, text] = [0n, 0n];
  for (const [{ table }, { textBytes }] of sampled) [disk, text] = [disk + table.bytes, text + textBytes];
  return (bytes) => (disk === 0n ? bytes : (bytes * text) / disk);
}

async function readSizes(source: Session, tables: readonly TableInfo[]): Promise<TableSize[]> {
  const plain = tables.filter(({ kind }) => kind === 'r');
  const rows = await source.query(
    `SELECT c.oid::text AS oid, s.pages::text AS pages, pg_catalog.pg_indexes_size(c.oid)::text AS index_bytes,
            CASE WHEN c.reltuples >= 0 AND c.relpages > 0
                 THEN pg_catalog.round((c.reltuples / c.relpages * s.pages)::numeric)::text END AS rows
       FROM pg_catalog.pg_class c,
            LATERAL (SELECT pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint AS pages) s
      WHERE c.oid = ANY ($1::oid[])`,
    [oidArray(plain)],
  );
  const byOid = new Map(rows.map((row) => [Number(row.oid), row]));
  return plain.map((table) => {
    const row = byOid.get(table.oid);
    return {
      table,
      pages: BigInt(row?.pages ?? '0'),
      indexBytes: BigInt(row?.index_bytes ?? '0'),
      rows: row?.rows ? BigInt(row.rows) : null,
    };
  });
}

/** Null when the table could not be sampled in time or may not be read. */
async function sampleTable(
  source: Session,
  size: TableSize,
  condition: string | null,
): Promise<Sample | null> {
  if (size.pages === 0n) return { rows: 0n, textBytes: 0n };
  const small = size.pages <= SMALL_PAGES;
  const percent = small ? 100 : Math.max(0.0001, (SAMPLE_PAGES / Number(size.pages)) * 100);
  const where = condition === null ? '' : ` WHERE ${condition}`;
  const from = `ONLY ${qname(size.table)}${small ? '' : ` TABLESAMPLE pg_catalog.system (${percent.toFixed(6)}) REPEATABLE (1)`}`;
  try {
    const row = await source.transaction(async () => {
      await source.query(`SET LOCAL statement_timeout = ${SAMPLE_TIMEOUT_MS}`);
      // A row as text has about the length of its COPY line: separators and quotes instead of tabs and backslashes.
      return source.one(
        `SELECT (SELECT count(*) FROM ${from})::text AS seen, (SELECT count(*) FROM ${from}${where})::text AS passed,
                count(*)::text AS rows, coalesce(sum(pg_catalog.octet_length((t.*)::text)), 0)::text AS bytes
           FROM (SELECT * FROM ${from}${where} LIMIT ${SAMPLE_ROWS}) t`,
      );
    }, 'BEGIN READ ONLY');
    const [seen, passed, sampledRows, bytes] = [
      BigInt(row.seen ?? '0'),
      BigInt(row.passed ?? '0'),
      BigInt(row.rows ?? '0'),
      BigInt(row.bytes ?? '0'),
    ];
    const all = size.rows ?? (seen * size.pages) / BigInt(SAMPLE_PAGES);
    const rows = small ? passed : seen === 0n ? all : (all * passed) / seen;
    if (sampledRows === 0n) return small ? { rows: 0n, textBytes: 0n } : null;
    return { rows, textBytes: (rows * bytes) / sampledRows };
  } catch (thrown) {
    if (isConnectionLoss(thrown) || (thrown instanceof AppError && thrown.code === 'CONNECTION_LOST'))
      throw thrown;
    return null;
  }
}
