/** Secrets that a person types, or a program hands in on stdin: never on the command line, which others can read. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { CliContext } from './context.ts';

/** One line for each question; on a terminal what is typed is not shown. An end of input gives empty answers. */
export async function readSecrets(
  questions: readonly string[],
  { stdin, stderr }: Pick<CliContext, 'stdin' | 'stderr'>,
): Promise<string[]> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silent, terminal: stdin.isTTY });
  const answers: string[] = [];
  const each = lines[Symbol.asyncIterator]();
  for (const question of questions) {
    if (stdin.isTTY) stderr.write(question);
    const { value = '' } = (await each.next()) as { value?: string };
    if (stdin.isTTY) stderr.write('\n');
    answers.push(value);
  }
  lines.close();
  return answers;
}
