/** The other contenders, each at the settings that suit it best. */
import { join } from 'node:path';
import { ident } from '../../src/engine/pg/ident.ts';
import { ends, type Contender, type CopyJob } from './contender.ts';
import { withCpu } from './measurement.ts';
import { runProgram } from './program.ts';

/** The pipe is the shell's, so that no byte of it passes through this process; `$1` … keep the shell from reading names and URIs. */
const PIPE =
  'set -o pipefail; psql -X -v ON_ERROR_STOP=1 -d "$1" -c "$2" | psql -X -v ON_ERROR_STOP=1 -d "$3" -c "$4"';

/** COPY from one psql into another, as many pipes as jobs, the largest table first. */
export function psqlPipe(format: 'text' | 'binary'): Contender {
  return {
    name: `psql pipe, ${format}`,
    work: 'data',
    isOurs: false,
    tools: ['bash', 'psql'],
    async run(job) {
      const started = performance.now();
      const { result, cpu } = await withCpu(job.pair, async () => {
        const rows = await pipeTables(job, format);
        return { rows, wallMs: performance.now() - started };
      });
      return { wallMs: result.wallMs, cpu, peakMemory: null, rowsByTag: result.rows };
    },
  };
}

async function pipeTables(job: CopyJob, format: string): Promise<bigint> {
  const { source, target } = ends(job);
  const queue = job.data.tables.map(({ name }) => `public.${ident(name)}`);
  let rows = 0n;
  const work = async () => {
    for (let table = queue.shift(); table !== undefined; table = queue.shift()) {
      const [out, into] = [`COPY ${table} TO STDOUT`, `COPY ${table} FROM STDIN`].map(
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
