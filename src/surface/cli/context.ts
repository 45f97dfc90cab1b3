/** What a command of the CLI is given: settings, the three streams, the request to stop. Nothing below main.ts reaches for `process`. */
import type { ExitCode } from '../../base/errors/exit.ts';
import type { Failpoints } from '../../base/runtime/failpoint.ts';
import type { Config } from '../../config.ts';
import type { Command } from 'commander';

/** A stream as process.stdout is one; `columns` and `rows` only on a terminal. */
export type Output = Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns' | 'rows'>;

export interface CliContext {
  readonly config: Config;
  /** Data: tables for people, one document with --json. */
  readonly stdout: Output;
  /** Talk: progress, questions, errors. */
  readonly stderr: Output;
  readonly stdin: NodeJS.ReadStream;
  readonly signal: AbortSignal;
  readonly failpoints: Failpoints;
  /** Told each time somebody asks to read the task file again (SIGUSR2). */
  readonly onReload: (listener: () => void) => void;
}

/** One command, one file: how it is called, and what it does. */
export interface CliCommand {
  readonly define: (program: Command) => Command;
  /** The exit code; errors are thrown. */
  readonly run: (command: Command, context: CliContext) => Promise<ExitCode>;
}
