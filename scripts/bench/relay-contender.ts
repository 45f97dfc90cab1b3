/** Our relay without the rest of opendts, with rows untouched and with every row decoded: what a row-level transform would cost. */
import { fileURLToPath } from 'node:url';
import { ends, type Contender } from './contender.ts';
import { withCpu } from './measurement.ts';
import { runProgram } from './program.ts';

const CHILD = fileURLToPath(new URL('./relay-child.ts', import.meta.url));

export function relayOnly(how: 'raw' | 'decode'): Contender {
  return {
    name: how === 'raw' ? 'relay alone, text' : 'relay, every row decoded',
    work: 'data',
    isOurs: false,
    tools: [],
    async run(job) {
      const { source, target } = ends(job);
      const tables = job.data.tables.map(({ name }) => name);
      const args = [CHILD, source, target, String(job.jobs), how, ...tables];
      const { result, cpu } = await withCpu(job.pair, () => runProgram(process.execPath, args, job));
      const { wallMs, peakMemory, stdout } = result;
      return { wallMs, cpu, peakMemory, rowsByTag: BigInt(stdout.trim()) };
    },
  };
}
