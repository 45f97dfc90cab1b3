/** The other contenders, each at the settings that suit it best. */
import { join } from 'node:path';
import { ident } from '../../src/engine/pg/ident.ts';
import { ends, type Contender, type CopyJob } from './contender.ts';
import { withCpu } from './measurement.ts';
import { runProgram } from './program.ts';

/** The pipe is the shell's, so that no byte of it passes through this process; `$1` … keep the shell from reading names and URIs. */
const PIPE =
  'set -o pipefail; psql -X -v ON_ERROR_STOP=1 -d "$1" -c "$2" | psql -X -v ON_ERROR_STOP=1 -d "$3" -c "$4"';

/** COPY from one psql into another, as many pipes as jobs, the largest table first; each table in so many `pieces`, by place. */
export function psqlPipe(format: 'text' | 'binary', pieces = 1): Contender {
  return {
    name: `psql pipe, ${format}${pieces > 1 ? `, ${pieces} pieces` : ''}`,
    work: 'data',
    isOurs: false,
    tools: ['bash', 'psql'],
    async run(job) {
      const started = performance.now();
      const { result, cpu } = await withCpu(job.pair, async () => {
        const rows = await pipeTables(job, { format, pieces });
        return { rows, wallMs: performance.now() - started };
      });
      return { wallMs: result.wallMs, cpu, peakMemory: null, rowsByTag: result.rows };
    },
  };
}

interface Piece {
  readonly table: string;
  /** What COPY reads. */
  readonly from: string;
}

function piecesOf({ data }: CopyJob, pieces: number): Piece[] {
  return data.tables.flatMap(({ name, bytes }) => {
    const table = `public.${ident(name)}`;
    if (pieces === 1) return [{ table, from: table }];
    const blocks = Math.ceil(Number(bytes) / BLOCK / pieces);
    return Array.from({ length: pieces }, (_, at) => {
      const end = at === pieces - 1 ? '' : ` AND ctid < '(${(at + 1) * blocks},0)'`;
      return { table, from: `(SELECT * FROM ${table} WHERE ctid >= '(${at * blocks},0)'${end})` };
    });
  });
}

const BLOCK = 8192;

async function pipeTables(
  job: CopyJob,
  { format, pieces }: { readonly format: string; readonly pieces: number },
): Promise<bigint> {
  const { source, target } = ends(job);
  const queue = piecesOf(job, pieces);
  let rows = 0n;
  const work = async () => {
    for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) {
      const { table, from } = piece;
      const [out, into] = [`COPY ${from} TO STDOUT`, `COPY ${table} FROM STDIN`].map(
        (copy) => `${copy} (FORMAT ${format})`,
      );
      const { stdout } = await runProgram(
        'bash',
        ['-c', PIPE, 'pipe', source, out ?? '', target, into ?? ''],
        job,
      );
      const tag = /^COPY (\d+)$/m.exec(stdout)?.[1];
      if (tag === undefined) throw new Error(`psql showed no COPY tag for ${table}`);
      rows += BigInt(tag);
    }
  };
  await Promise.all(Array.from({ length: job.jobs }, work));
  return rows;
}

export const pgcopydb: Contender = {
  name: 'pgcopydb clone',
  work: 'whole',
  isOurs: false,
  tools: ['pgcopydb', 'pg_dump', 'pg_restore'],
  async run(job) {
    const { source, target } = ends(job);
    const jobs = ['--table-jobs', String(job.jobs), '--index-jobs', String(job.jobs)];
    const args = [
      'clone',
      '--source',
      source,
      '--target',
      target,
      ...jobs,
      '--dir',
      join(job.scratch, 'pgcopydb'),
    ];
    // It keeps notes below the home folder too, and would find those of an earlier run there.
    const env = { ...job.env, XDG_DATA_HOME: job.scratch };
    const { result, cpu } = await withCpu(job.pair, () => runProgram('pgcopydb', args, { ...job, env }));
    return { wallMs: result.wallMs, cpu, peakMemory: null, rowsByTag: null };
  },
};

/** Uncompressed: on one machine compressing costs more than the bytes it saves. */
export const dumpRestore: Contender = {
  name: 'pg_dump, pg_restore',
  work: 'whole',
  isOurs: false,
  tools: ['pg_dump', 'pg_restore', 'vacuumdb'],
  async run(job) {
    const { source, target } = ends(job);
    const jobs = ['--jobs', String(job.jobs)];
    const folder = join(job.scratch, 'dump');
    const { result, cpu } = await withCpu(job.pair, async () => {
      const steps = [
        await runProgram('pg_dump', ['-Fd', '-Z', '0', ...jobs, '-f', folder, '-d', source], job),
        await runProgram('pg_restore', ['--exit-on-error', ...jobs, '-d', target, folder], job),
        await runProgram('vacuumdb', ['--analyze', '--quiet', ...jobs, '-d', target], job),
      ];
      return steps.reduce((sum, { wallMs }) => sum + wallMs, 0);
    });
    return { wallMs: result, cpu, peakMemory: null, rowsByTag: null };
  },
};
