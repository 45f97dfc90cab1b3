/** What an owner and the hands that others lend it say to each other, as JSON in the store. Never a password. */
import type { CopyChunk } from '../../../engine/pipeline/copy-hand.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import type { ErrorMessage, HandTask } from '../../task/copy/copy-thread-messages.ts';

/** Grows with each change that an older version would misread: versions run side by side during an upgrade. */
export const FORMAT = 1;

interface Messages {
  readonly task: HandTask;
  readonly batch: readonly CopyChunk[];
  readonly done: readonly DoneChunk[];
  readonly failed: ErrorMessage;
}

/** A bigint as `{"$bigint": "1"}`; what is undefined is left out. */
export function pack<K extends keyof Messages>(_kind: K, message: Messages[K]): string {
  return JSON.stringify(message, (_, value: unknown) =>
    typeof value === 'bigint' ? { $bigint: String(value) } : value,
  );
}

/** What pack() made, of the same format. */
export function unpack<K extends keyof Messages>(_kind: K, json: string): Messages[K] {
  return JSON.parse(json, (_, value: unknown) =>
    typeof value === 'object' && value !== null && '$bigint' in value ? BigInt(String(value.$bigint)) : value,
  ) as Messages[K];
}

/** In the names of its sessions: those of one hand, or with `''` those of all hands of the pass. */
export function handRole(passId: string, handId: string): string {
  return `hand-${passId.slice(0, 8)}-${handId.slice(0, 8)}`;
}
