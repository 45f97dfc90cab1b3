/** What the command line of `npm run bench:copy` asks for, and how large the data of each form is. Pure. */
import { parseArgs } from 'node:util';

/** Sizes in rows (a wide row takes about 800 bytes) and how often everything runs. */
export interface Size {
  readonly name: 'full' | 'quick' | 'five-gb';
  readonly pgbenchScale: number;
  readonly wideRows: number;
  /** Rows of each of the two tables that travel as text. */
  readonly textRows: number;
  /** Rows of the one big table, and of the four tables together. */
  readonly splitRows: number;
  readonly smallTables: number;
  /** Rounds in which we run beside a contender that a bar compares us with. */
  readonly pairs: number;
  /** Rounds of everything else. */
  readonly rounds: number;
}

export interface BenchOptions {
  readonly size: Size;
  readonly jobs: number;
  readonly json: boolean;
  /** The parts to run, of PARTS. */
  readonly parts: ReadonlySet<PartName>;
}

export const PARTS = ['mixed', 'binary', 'text', 'decode', 'small', 'split'] as const;
export type PartName = (typeof PARTS)[number];

const FULL: Size = {
  name: 'full',
  pgbenchScale: 50,
  wideRows: 1_500_000,
  textRows: 650_000,
  splitRows: 1_400_000,
  smallTables: 2000,
  pairs: 5,
  rounds: 3,
};

const QUICK: Size = {
  name: 'quick',
  pgbenchScale: 5,
  wideRows: 140_000,
  textRows: 40_000,
  splitRows: 80_000,
  smallTables: 300,
  pairs: 2,
  rounds: 1,
};

const FIVE_GB: Size = { ...FULL, name: 'five-gb', wideRows: 6_600_000, pairs: 1, rounds: 1 };

/** Throws what parseArgs throws for an option that does not exist, and an Error for a number of jobs below 1 or an unknown part. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      'five-gb': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      jobs: { type: 'string', default: '2' },
      part: { type: 'string', multiple: true, default: [...PARTS] },
    },
  });
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) throw new Error('--jobs takes a number from 1 on');
  if (values.quick && values['five-gb']) throw new Error('--quick and --five-gb exclude each other');
  const parts = values.part.map((name) => {
    const part = PARTS.find((known) => known === name);
    if (part === undefined) throw new Error(`--part takes one of ${PARTS.join(', ')}`);
    return part;
  });
  return {
    size: values['five-gb'] ? FIVE_GB : values.quick ? QUICK : FULL,
    jobs,
    json: values.json,
    parts: new Set(parts),
  };
}
