/** Before the slot is made: which plugin it gets, said aloud; from then on the slot tells. */
import type { Decoder } from '../../../engine/pg/slot/decoder.ts';
import { chooseDecoder, decoderUnusable, encodingProblem } from '../../../engine/source/decoder-choice.ts';
import { enter, type TaskRun } from '../task-run.ts';

/** Throws DECODER_UNUSABLE. */
export async function decoderFor(run: TaskRun): Promise<Decoder> {
  const source = await run.ends.source();
  const { decoder: wanted = 'auto', publication = null } = run.request;
  const { decoder, why } = await chooseDecoder(source, { wanted, publication, tables: run.followed });
  enter(run, 'prepare', `changes are decoded by ${decoder}: ${why}`);
  if (decoder === 'test_decoding') {
    const problem = await encodingProblem(source);
    if (problem !== null) throw decoderUnusable(problem);
  }
  return decoder;
}
