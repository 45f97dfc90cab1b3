/** What a run of the demo came to, and how it is told. Pure. */
import type { MigrationSummary } from '../contract/progress.ts';

/** One of the two embedded servers, as far as a person needs it to connect and to end it. */
export interface DemoServer {
  /** With the password: it was made for this server, which listens on this machine only. */
  readonly uri: string;
  readonly pid: number;
  readonly folder: string;
}

export interface DemoResult {
  readonly tables: number;
  readonly rowsCopied: bigint;
  readonly bytesCopied: bigint;
  readonly copyMs: number;
  readonly changesApplied: bigint;
  readonly transactionsApplied: bigint;
  readonly streamMs: number;
  /** WAL of the source not yet applied at the end; null when unknown. */
  readonly lagBytes: bigint | null;
  /** What the shop did meanwhile, committed. */
  readonly loadTransactions: bigint;
  readonly loadStatements: bigint;
  readonly rowsCompared: bigint;
  readonly sequences: number;
  readonly elapsedMs: number;
  /** Null when they were removed. */
  readonly servers: { readonly source: DemoServer; readonly target: DemoServer } | null;
}

const NUMBER = new Intl.NumberFormat('en-US');

export function whole(value: bigint | number): string {
  return NUMBER.format(value);
}

export function megabytes(bytes: bigint): string {
  return `${(Number(bytes) / 1e6).toFixed(1)} MB`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** The speed as text; a time too short to divide by gives none. */
function perSecond(amount: bigint, ms: number, show: (amount: bigint) => string): string {
  return ms < 1 ? '' : `, ${show((amount * 1000n) / BigInt(Math.ceil(ms)))}/s`;
}

/** The part of the result that the migration itself knows. */
export function migrated(
  summary: MigrationSummary,
): Pick<
  DemoResult,
  'rowsCopied' | 'bytesCopied' | 'copyMs' | 'changesApplied' | 'transactionsApplied' | 'streamMs' | 'lagBytes'
> {
  const { rowsCopied, bytesCopied, copyMs, changesApplied, transactionsApplied, streamMs, lagBytes } =
    summary;
  return { rowsCopied, bytesCopied, copyMs, changesApplied, transactionsApplied, streamMs, lagBytes };
}

/** The summary, line by line. */
export function resultLines(result: DemoResult): string[] {
  const copySpeed = perSecond(result.bytesCopied, result.copyMs, megabytes);
  const applySpeed = perSecond(result.changesApplied, result.streamMs, (n) => `${whole(n)} changes`);
  const lines = [
    '',
    'Identical: every row of every table, and no sequence is behind.',
    `  compared   ${whole(result.tables)} tables, ${whole(result.rowsCompared)} rows, ${whole(result.sequences)} sequences`,
    `  copied     ${whole(result.rowsCopied)} rows, ${megabytes(result.bytesCopied)} in ${seconds(result.copyMs)}${copySpeed}`,
    `  the shop   ${whole(result.loadTransactions)} transactions, ${whole(result.loadStatements)} statements meanwhile`,
    `  applied    ${whole(result.changesApplied)} changes of ${whole(result.transactionsApplied)} transactions in ${seconds(result.streamMs)}${applySpeed}`,
    `  lag        ${result.lagBytes === null ? 'unknown' : `${whole(result.lagBytes)} bytes`} at the end`,
    `  took       ${seconds(result.elapsedMs)} in all`,
  ];
  return [
    ...lines,
    ...(result.servers
      ? keptLines(result.servers)
      : ['Both servers are removed; --keep leaves them running.']),
  ];
}

/** How to reach what --keep left, and how to end it. */
export function keptLines({
  source,
  target,
}: {
  readonly source: DemoServer;
  readonly target: DemoServer;
}): string[] {
  return [
    'Both servers are still running:',
    `  source     ${source.uri}`,
    `  target     ${target.uri}`,
    'To stop and remove them:',
    `  kill -INT ${source.pid} ${target.pid} && sleep 2 && rm -r ${source.folder} ${target.folder}`,
  ];
}
