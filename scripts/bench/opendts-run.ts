/** Our own contender: `opendts migrate` as a user starts it, from the checkout. */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ends, type Contender, type CopyJob, type CopyMeasurement } from './contender.ts';
import { processCpu } from './cpu-time.ts';
import { cpuBetween, readCpu, withCpu, type Cpu } from './measurement.ts';
import { runProgram, startProgram, type Ended, type ProgramOptions, type Running } from './program.ts';

const BIN = fileURLToPath(new URL('../../bin/opendts.js', import.meta.url));

const summaryDocument = z.object({ data: z.object({ rowsCopied: z.string(), copyMs: z.number() }) });
const stderrLine = z.object({ phase: z.string() });

export const opendtsWhole: Contender = {
  name: 'opendts',
  work: 'whole',
  isOurs: true,
  tools: [],
  async run(job) {
    const { result, cpu } = await withCpu(job.pair, () => migrate(job, 'schema,full'));
    const { data } = summaryDocument.parse(JSON.parse(result.stdout));
    await cleanup(job);
    return {
      wallMs: result.wallMs,
      cpu,
      peakMemory: result.peakMemory,
      rowsByTag: BigInt(data.rowsCopied),
    };
  },
};

/** The data phase is measured from the event that starts it to the next phase: connecting, checks and ANALYZE are not the copy. */
export const opendtsData: Contender = {
  name: 'opendts',
  work: 'data',
  isOurs: true,
  tools: [],
  async run(job): Promise<CopyMeasurement> {
    let start: Cpu | null = null;
    let end: Cpu | null = null;
    const onLine = (line: string, pid: number) => {
      const phase = phaseOf(line);
      if (phase === null || end !== null || (start === null) !== (phase === 'copy')) return;
      const now = readCpu(job.pair, processCpu(pid));
      if (start === null) start = now;
      else end = now;
    };
    const result = await migrate(job, 'full', onLine);
    const { data } = summaryDocument.parse(JSON.parse(result.stdout));
    await cleanup(job);
    if (start === null || end === null) throw new Error('opendts did not say when it copied');
    return {
      wallMs: data.copyMs,
      cpu: cpuBetween(start, end),
      peakMemory: result.peakMemory,
      rowsByTag: BigInt(data.rowsCopied),
    };
  },
};

/** Compares every table of both ends; throws an Error when anything differs. */
export async function verify(job: Omit<CopyJob, 'scratch'>): Promise<void> {
  const { source, target } = ends(job);
  const args = ['verify', '--source', source, '--target', target, '--jobs', String(job.jobs)];
  try {
    await opendts(job, args);
  } catch (thrown) {
    throw new Error('wrong copy: the content is not the same, or could not be compared', { cause: thrown });
  }
}

function migrate(job: CopyJob, types: string, onLine?: (line: string, pid: number) => void): Promise<Ended> {
  const { source, target } = ends(job);
  const what = ['--types', types, '--jobs', String(job.jobs), '--state-dir', job.scratch, '--json'];
  return opendts(job, ['migrate', '--source', source, '--target', target, ...what], onLine);
}

async function cleanup(job: CopyJob): Promise<void> {
  const { source, target } = ends(job);
  await opendts(job, [
    'cleanup',
    '--yes',
    '--source',
    source,
    '--target',
    target,
    '--state-dir',
    job.scratch,
  ]);
}

/** The command line to its end. */
export function opendts(
  { env, signal }: ProgramOptions,
  args: readonly string[],
  onLine?: (line: string, pid: number) => void,
): Promise<Ended> {
  return runProgram(process.execPath, [BIN, ...args], onLine ? { env, signal, onLine } : { env, signal });
}

/** The command line until it is stopped. */
export function startOpendts({ env, signal }: ProgramOptions, args: readonly string[]): Running {
  return startProgram(process.execPath, [BIN, ...args], { env, signal });
}

function phaseOf(line: string): string | null {
  if (!line.startsWith('{')) return null;
  return stderrLine.safeParse(JSON.parse(line)).data?.phase ?? null;
}
