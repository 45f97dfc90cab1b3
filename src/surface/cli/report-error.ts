/** How a command that failed says so: text on stderr, a document on stdout with --json, and the exit code of the error table. */
import { CommanderError } from 'commander';
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import type { CliContext } from './context.ts';
import { errorDocument } from './view/json.ts';
import { stopExit } from './stop.ts';
import { painter } from './view/text.ts';

/** Reports what was thrown; gives the exit code. */
export function reportError(thrown: unknown, context: CliContext, json: boolean): ExitCode {
  const { signal, stderr, stdout, config } = context;
  // Whatever fails after the request to stop fails because of it.
  if (signal.aborted && !(thrown instanceof AppError && thrown.exit === EXIT.data)) {
    stderr.write('opendts: stopped.\n');
    return stopExit(signal);
  }
  const error = thrown instanceof CommanderError ? usageError(thrown) : toAppError(thrown);
  const paint = painter(context, stderr);
  stderr.write(`${paint('red', 'opendts:')} ${error.message}\n${error.remedy}\n`);
  if (config.debug) stderr.write(`${stacks(error)}\n`);
  else if (error.code === 'UNEXPECTED') stderr.write('OPENDTS_DEBUG=1 shows where it happened.\n');
  if (json) stdout.write(errorDocument(error));
  return error.exit;
}

/** The parser's text is `error: what is wrong`, with its suggestion for a mistyped word on a second line. */
function usageError(thrown: CommanderError): AppError {
  const [first = '', suggestion] = thrown.message.replace(/^error: /, '').split('\n');
  const problem = withoutSecrets(first);
  const hint = suggestion?.replace(/^\(|\)$/g, '');
  return new AppError('USAGE', {
    problem: problem.endsWith('.') ? problem : `${problem}.`,
    remedy: `${hint ? `${hint} ` : ''}"opendts --help" and "opendts <command> --help" list commands and options.`,
  });
}

/** The parser quotes what it did not understand, and that may be a connection string in the wrong place. */
function withoutSecrets(text: string): string {
  return text
    .replace(/^(unknown option '-[^=']*)=.*'/s, "$1'")
    .replace(/^(too many arguments .* but got \d+): .*/s, '$1')
    .replace(/'.*(:\/\/|password\s*=).*'/is, "'…'");
}

function stacks(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stacks(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
