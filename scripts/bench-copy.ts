/**
 * Measures the copy beside psql, pgcopydb and pg_dump on two servers of its own, and prints one table (docs/bench-copy.md).
 *   npm run bench:copy                  the whole bench
 *   npm run bench:copy -- --quick       small data, under five minutes: shows that the bench works
 *   npm run bench:copy -- --five-gb     one table of 5 GB, for the memory alone
 *   … --part <name>                     only this part (may be repeated): mixed, binary, text, decode, small, split
 *   … --jobs <n>, --json                another number of jobs; one JSON line with the bars at the end
 * Ends with 1 when a copy failed or was wrong, with 0 otherwise: whether a bar is cleared is in the output.
 */
import { readOptions } from './bench/options.ts';
import { findTool, toolVersion } from './bench/program.ts';
import { hasFailed, resultTable, troubleLines } from './bench/report.ts';
import { runBench } from './bench/run-bench.ts';
import { runParts, runFiveGb } from './bench/suites.ts';

const options = () => readOptions(process.argv.slice(2));
const form = () => ({ name: 'bench:copy', size: options().size.name, json: options().json });

await runBench(form, async (bench) => {
  const { parts, bars } = await (options().size.name === 'five-gb' ? runFiveGb : runParts)(bench, options());
  const tools = ['psql', 'pgcopydb', 'pg_dump'].map((tool) => {
    const path = findTool(tool, bench.env);
    return `${tool}: ${path === null ? 'not installed' : toolVersion(path, bench.env)}`;
  });
  return {
    about: tools,
    table: resultTable(parts),
    bars,
    troubles: troubleLines(parts),
    failed: hasFailed(parts),
    checked:
      'Checked after every copy: row counts, COPY tags, indexes; content after every copy of ours and the last of the others.',
  };
});
