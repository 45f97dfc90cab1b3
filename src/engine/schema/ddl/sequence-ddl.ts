/** Sequences: drafts of those that stand alone, options of those that come with an identity column. Values are set by sequences.ts. */
import type { SequenceInfo } from '../../pg/catalog/sequences.ts';
import { qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

export function sequenceDrafts(context: DraftContext): Draft[] {
  return context.model.sequences
    .filter((sequence) => !sequence.isIdentity)
    .map((sequence) => {
      const id = objectId('sequence', sequence.schema, sequence.name);
      const unlogged = sequence.unlogged && context.targetVersion >= 150_000 ? 'UNLOGGED ' : '';
      if (sequence.unlogged && unlogged === '')
        context.leaveOut(
          `UNLOGGED of ${id}`,
          'it needs PostgreSQL 15 on the target; it is a logged one there',
        );
      return draft({
        key: sequence.key,
        id,
        create: [
          `CREATE ${unlogged}SEQUENCE ${qname(sequence)} AS ${sequence.type} ${sequenceOptions(sequence)}`,
        ],
        after: commentsOn(context, sequence.key, `SEQUENCE ${qname(sequence)}`),
        attachedTo: sequence.owner?.table ?? null,
        creates: { schema: sequence.schema, name: sequence.name },
        relkind: 'S',
      });
    });
}

/** The options CREATE SEQUENCE and an identity column have in common. */
export function sequenceOptions(sequence: SequenceInfo): string {
  const { start, increment, min, max, cache, cycle } = sequence;
  return `INCREMENT BY ${increment} MINVALUE ${min} MAXVALUE ${max} START WITH ${start} CACHE ${cache} ${cycle ? 'CYCLE' : 'NO CYCLE'}`;
}
