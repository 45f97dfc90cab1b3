/** The answer of `opendts check` for people: what would move, what is wrong and how to put it right, what to paste next. */
import type { NextStep } from '../../../contract/progress.ts';
import type { Finding } from '../../../engine/precheck/check.ts';
import type { CheckOutcome } from '../../../service/task/check-migration.ts';
import type { CliContext } from '../context.ts';
import { count, many, secondsRange, size } from './quantities.ts';
import { painter, printable, type Paint } from './text.ts';

export function checkReport(
  outcome: CheckOutcome,
  nextSteps: readonly NextStep[],
  context: CliContext,
): string[] {
  const paint = painter(context, context.stdout);
  const { findings, notMigrated } = outcome;
  const passed = findings.filter(({ result }) => result === 'passed');
  return [
    ...overview(outcome),
    '',
    ...findings
      .filter(({ result }) => result !== 'passed')
      .flatMap((finding) => findingLines(finding, paint)),
    `${paint('green', 'passed')}  ${many(passed.length, 'check')}: ${passed.map(({ check }) => check).join(', ') || 'none'}`,
    ...(notMigrated.length > 0 ? ['', 'Not migrated:'] : []),
    ...notMigrated.map((line) => `  - ${printable(line)}`),
    '',
    ...nextSteps.flatMap(({ why, command }) => [`# ${printable(why)}`, command]),
  ];
}

function overview({ source, target, estimate, types }: CheckOutcome): string[] {
  const { tables, rows, relationBytes, textBytes, copySeconds, indexSeconds, walBytes } = estimate;
  const ends = [['source', source] as const, ['target', target] as const].map(
    ([name, { server, endpoint, databaseBytes }]) =>
      `${name}   ${server}   ${printable(endpoint)}   ${size(databaseBytes)}`,
  );
  const volume = `tables   ${count(tables)}, about ${many(rows, 'row')}, ${size(relationBytes)} on disk, ${size(textBytes)} to transfer`;
  const time = `time     copy ${secondsRange(copySeconds)}, indexes ${secondsRange(indexSeconds)} (depends on the machines)`;
  const log = `log      up to ${size(walBytes)} written on the target`;
  return [...ends, volume, ...(types.includes('full') ? [time, log] : [])];
}

function findingLines({ check, result, what, evidence, fix }: Finding, paint: Paint): string[] {
  const word = result === 'failed' ? paint('red', 'FAILED') : paint('yellow', 'alert ');
  const indent = (text: string) => text.split('\n').map((line) => `        ${printable(line)}`);
  return [
    `${word}  ${check}: ${printable(what)}`,
    ...(evidence === '' ? [] : indent(evidence)),
    ...(fix === null ? [] : ['        to fix:', ...indent(fix).map((line) => `  ${line}`)]),
  ];
}
