/** What the command line of `npm run bench:apply` asks for, and how large each form is. Pure. */
import { parseArgs } from 'node:util';

export interface ApplySize {
  readonly name: 'full' | 'quick';
  /** (a) pgbench transactions, and the scale of their tables. */
  readonly transactions: number;
  readonly scale: number;
  /** (b) rows of the one large transaction, in scales of 100,000. */
  readonly hugeScale: number;
  /** (c) wide rows, one transaction each. */
  readonly wideRows: number;
  /** (d) transactions of ten changes each. */
  readonly mixedTransactions: number;
  readonly rounds: number;
  /** How long one measurement of the latency takes, and the run at half speed. */
  readonly latencySeconds: number;
  readonly steadySeconds: number;
}

export interface ApplyOptions {
  readonly size: ApplySize;
  readonly json: boolean;
  /** The parts to run, of PARTS. */
  readonly parts: ReadonlySet<PartName>;
}

export const PARTS = ['a', 'b', 'c', 'd', 'latency', 'steady'] as const;
export type PartName = (typeof PARTS)[number];

const FULL: ApplySize = {
  name: 'full',
  transactions: 200_000,
  scale: 20,
  hugeScale: 10,
  wideRows: 100_000,
  mixedTransactions: 20_000,
  rounds: 5,
  latencySeconds: 20,
  steadySeconds: 600,
};

const QUICK: ApplySize = {
  name: 'quick',
  transactions: 5_000,
  scale: 1,
  hugeScale: 1,
  wideRows: 3_000,
  mixedTransactions: 500,
  rounds: 1,
  latencySeconds: 2,
  steadySeconds: 5,
};

/** Throws what parseArgs throws for an option that does not exist, and an Error for a number of rounds below 1 or an unknown part. */
export function readOptions(args: readonly string[]): ApplyOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      part: { type: 'string', multiple: true, default: [...PARTS] },
    },
  });
  const size = values.quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? size.rounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a number from 1 on');
  const parts = values.part.map((name) => {
    const part = PARTS.find((known) => known === name);
    if (part === undefined) throw new Error(`--part takes one of ${PARTS.join(', ')}`);
    return part;
  });
  return { size: { ...size, rounds }, json: values.json, parts: new Set(parts) };
}
