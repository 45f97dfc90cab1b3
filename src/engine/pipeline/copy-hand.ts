/** One pair of connections, source and target, that copies batch after batch; in this thread, or in another behind the same interface. */
import type { Failpoints } from '../../base/runtime/failpoint.ts';
import type { ChunkRead, ChunkReader } from '../source/chunk-reader.ts';
import type { HeldSnapshot } from '../source/snapshot-holder.ts';
import type { ChunkWriter } from '../target/copy/chunk-writer.ts';
import type { DoneChunk } from '../target/books/done-chunks.ts';
import type { LoadPlan } from '../target/copy/load-plan.ts';

export interface CopyChunk {
  /** Stable over restarts. */
  readonly id: string;
  readonly bytesEstimate: bigint;
  readonly load: LoadPlan;
  readonly read: Omit<ChunkRead, 'onPass' | 'copyIn'>;
}

export interface CopyEvents {
  readonly onStart: (chunk: CopyChunk) => void;
  readonly onPass: (chunk: CopyChunk, bytes: number, rows: number) => void;
}

export interface CopyHand extends AsyncDisposable {
  /** One transaction on the target. Throws what reader and writer throw; then the hand must be closed. */
  copy(batch: readonly CopyChunk[], events: CopyEvents): Promise<readonly DoneChunk[]>;
}

export interface HandOptions {
  readonly openReader: () => Promise<ChunkReader>;
  readonly openWriter: () => Promise<ChunkWriter>;
  readonly taskId: string;
  readonly copyFence: bigint;
  /** What "done" is recorded with; null for the slot's own snapshot, under which every streamed change applies. */
  readonly stamp: Pick<HeldSnapshot, 'text' | 'readUntil'> | null;
  readonly failpoints: Failpoints;
  readonly signal: AbortSignal;
}

export async function openHand(options: HandOptions): Promise<CopyHand> {
  const reader = await options.openReader();
  let writer: ChunkWriter;
  try {
    writer = await options.openWriter();
  } catch (thrown) {
    await reader[Symbol.asyncDispose]();
    throw thrown;
  }
  return {
    copy: (batch, events) => copyBatch(batch, { ...options, reader, writer, events }),
    [Symbol.asyncDispose]: async () => {
      await reader[Symbol.asyncDispose]();
      await writer[Symbol.asyncDispose]();
    },
  };
}

interface Copying extends HandOptions {
  readonly reader: ChunkReader;
  readonly writer: ChunkWriter;
  readonly events: CopyEvents;
}

async function copyBatch(
  batch: readonly CopyChunk[],
  { reader, writer, events, ...options }: Copying,
): Promise<readonly DoneChunk[]> {
  const { taskId, copyFence, stamp, failpoints, signal } = options;
  const chunks = new Map(batch.map((chunk) => [chunk.id, chunk]));
  await reader.lock(
    batch.map(({ read }) => read.table),
    signal,
  );
  const write = {
    taskId,
    copyFence,
    chunks: batch,
    snapshot: stamp?.text ?? null,
    readUntil: stamp?.readUntil ?? null,
    beforeCommit: () => failpoints.pass('copy.before-unit-commit'),
  };
  const done = await writer.write(write, (id) => {
    const chunk = chunks.get(id);
    if (!chunk) throw new Error(`unknown chunk ${id}`);
    events.onStart(chunk);
    const onPass = (bytes: number, rows: number) => events.onPass(chunk, bytes, rows);
    return reader.send({ ...chunk.read, copyIn: chunk.load.copyIn, onPass }, writer.session, signal);
  });
  failpoints.pass('copy.after-unit-commit');
  return done;
}
