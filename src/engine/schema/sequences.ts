/** Values of sequences: read on the source, set on the target. */
import type { QualifiedName } from '../change/relation.ts';
import { readSequences, type SequenceInfo } from '../pg/catalog/sequences.ts';
import { literal, qname } from '../pg/ident.ts';
import type { Session } from '../pg/session.ts';

export interface SequenceState {
  /** On the target. */
  readonly sequence: QualifiedName;
  readonly lastValue: bigint;
  /** False: `lastValue` itself is the next value. */
  readonly isCalled: boolean;
}

/** How many sequences one statement reads, or sets. Each is a relation with one row. */
const PER_STATEMENT = 200;

/**
 * The state of every included sequence, those of identity columns too, as the source has it now. `targetOf`: what the target calls it;
 * null: it is not included.
 */
export async function readSequenceStates(
  source: Session,
  targetOf: (sequence: SequenceInfo) => QualifiedName | null,
): Promise<SequenceState[]> {
  const sequences = (await readSequences(source)).flatMap((sequence) => {
    const target = targetOf(sequence);
    return target ? [{ sequence, target }] : [];
  });
  const states: SequenceState[] = [];
  for (let from = 0; from < sequences.length; from += PER_STATEMENT) {
    const part = sequences.slice(from, from + PER_STATEMENT);
    const rows = await source.query<{ position: string; last_value: string; is_called: string }>(
      part
        .map(
          ({ sequence }, position) =>
            `SELECT ${position} AS position, last_value, is_called::text AS is_called FROM ${qname(sequence)}`,
        )
        .join(' UNION ALL '),
    );
    for (const row of rows) {
      const target = part[Number(row.position)]?.target;
      if (!target) continue;
      states.push({
        sequence: target,
        lastValue: BigInt(row.last_value),
        isCalled: row.is_called === 'true',
      });
    }
  }
  return states;
}

/** Statements for the target; they take effect at once, also in a transaction that rolls back. */
export function setvalSql(states: readonly SequenceState[]): string[] {
  const statements: string[] = [];
  for (let from = 0; from < states.length; from += PER_STATEMENT) {
    const calls = states
      .slice(from, from + PER_STATEMENT)
      .map(
        ({ sequence, lastValue, isCalled }) =>
          `pg_catalog.setval(${literal(qname(sequence))}::pg_catalog.regclass, ${lastValue}, ${isCalled})`,
      );
    statements.push(`SELECT ${calls.join(', ')}`);
  }
  return statements;
}
