/** Tells on stderr how a migration goes: a live view on a terminal, else one line every five seconds, in words or in JSON. */
import type { IndexBuild, MigrationEvent } from '../../../contract/progress.ts';
import type { CliContext } from '../context.ts';
import { toJson } from './json.ts';
import { openLiveView } from './live-view.ts';
import { progressView, stagesOf, total, type WatchedProgress } from './progress-view.ts';
import { percent } from './quantities.ts';
import { rateMeter, type Rates } from './rates.ts';
import { painter, printable } from './text.ts';

export interface ProgressReport extends Disposable {
  event(event: MigrationEvent): void;
  /** Starts repeating; until then only events are told. */
  follow(progress: () => WatchedProgress): void;
}

const REPAINT_MS = 250;
const LINE_MS = 5000;

export function openProgressReport(context: CliContext, json: boolean): ProgressReport {
  return context.stderr.isTTY && !context.config.dumbTerminal
    ? liveReport(context)
    : lineReport(context, json ? jsonLine : wordLine);
}

function liveReport(context: CliContext): ProgressReport {
  const { stderr } = context;
  const view = openLiveView(stderr);
  const paint = painter(context, stderr);
  const meter = rateMeter();
  let tick = () => {};
  let timer: NodeJS.Timeout | undefined;
  return {
    event({ level, message }) {
      view.say(
        level === 'warn' ? `${paint('yellow', 'warning:')} ${printable(message)}` : printable(message),
      );
    },
    follow(progress) {
      tick = () => {
        const now = progress();
        view.paint(progressView(now, meter(now), { columns: stderr.columns, rows: stderr.rows }, paint));
      };
      tick();
      timer = setInterval(tick, REPAINT_MS);
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      tick();
      view[Symbol.dispose]();
    },
  };
}

type Words = Readonly<Record<string, unknown>>;

function lineReport({ stderr }: CliContext, line: (words: Words) => string): ProgressReport {
  const meter = rateMeter();
  const say = (words: Words) => void stderr.write(`${line({ time: new Date().toISOString(), ...words })}\n`);
  let timer: NodeJS.Timeout | undefined;
  return {
    event: ({ level, phase, message }) => say({ level, phase, message }),
    follow(progress) {
      const tick = () => {
        const now = progress();
        say({ level: 'info', ...progressWords(now, meter(now)) });
      };
      // The first line has a speed, too.
      meter(progress());
      timer = setInterval(tick, LINE_MS);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** The same facts as the live view, by name; speeds per second. */
export function progressWords(progress: WatchedProgress, rates: Rates): Words {
  const { rowsCopied, bytesCopied, copy, indexesDone, indexesTotal, lagBytes, delayMs } = progress;
  const eta = copy?.etaSeconds ?? null;
  const stages = stagesOf(progress);
  return {
    phase: progress.phase,
    task: progress.taskId,
    tables: total(stages),
    copying: stages.copying,
    copied: stages.copied + stages.streaming + stages.done,
    failed: stages.failed,
    share: copy && Math.floor(copy.share * 10_000) / 10_000,
    chunks: copy && `${copy.chunksDone}/${copy.chunksTotal}`,
    rows: copy?.rows ?? rowsCopied,
    bytes: copy?.bytes ?? bytesCopied,
    bytes_per_s: Math.round(rates.bytes),
    bytes_estimate: copy?.bytesEstimate ?? null,
    rows_estimate: copy?.rowsEstimate ?? null,
    eta_low_s: eta?.low ?? null,
    eta_high_s: eta?.high ?? null,
    indexes: `${indexesDone}/${indexesTotal}`,
    building: progress.indexBuilds.map(buildWords).join(', ') || null,
    changes: progress.changesApplied,
    transactions: progress.transactionsApplied,
    changes_per_s: Math.round(rates.changes),
    dead_letters: progress.deadLetters,
    lag_bytes: lagBytes,
    delay_ms: delayMs,
    slot_retained_bytes: progress.slot?.retainedBytes ?? null,
    slot_wal_status: progress.slot?.walStatus ?? null,
    slot_safe_bytes: progress.slot?.safeBytes ?? null,
    elapsed_ms: Math.round(progress.elapsedMs),
  };
}

function buildWords({ table, index, phase, share }: IndexBuild): string {
  return `${index ?? 'index'} on ${table}: ${phase}${share === null ? '' : ` ${percent(share)}`}`;
}

/** `key=value` words; what is unknown is left out, what holds a space is quoted. */
export function wordLine(words: Words): string {
  return Object.entries(words)
    .filter(([, value]) => value !== null && value !== '')
    .map(
      ([key, value]) => `${key}=${/^[^\s"=]+$/.test(String(value)) ? String(value) : JSON.stringify(value)}`,
    )
    .join(' ');
}

function jsonLine(words: Words): string {
  return toJson({ apiVersion: 'opendts/v1', kind: 'message' in words ? 'Event' : 'Progress', ...words });
}
