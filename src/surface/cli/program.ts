/** The command line as a whole: the commands, their help, and what happens to a command that fails. */
import { Command, CommanderError } from 'commander';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import { applyCommand } from './apply.ts';
import { auditCommand } from './audit.ts';
import { checkCommand } from './check.ts';
import { cleanupCommand } from './cleanup.ts';
import { connectionCommand } from './connection.ts';
import type { CliCommand, CliContext } from './context.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { demoCommand } from './demo.ts';
import { exportCommand } from './export.ts';
import { inspectCommand } from './inspect.ts';
import { keysCommand } from './keys.ts';
import { loginCommand } from './login.ts';
import { logoutCommand } from './logout.ts';
import { migrateCommand } from './migrate.ts';
import { reportError } from './report-error.ts';
import { resetPasswordCommand } from './reset-password.ts';
import { schemaCommand } from './schema.ts';
import { serveCommand } from './serve.ts';
import { tablesCommand } from './tables.ts';
import { taskCommand } from './task.ts';
import { verifyCommand } from './verify.ts';
import { packageVersion } from './version.ts';
import { workerCommand } from './worker.ts';

const COMMANDS: readonly CliCommand[] = [
  checkCommand,
  migrateCommand,
  verifyCommand,
  schemaCommand,
  tablesCommand,
  deadLettersCommand,
  cleanupCommand,
  inspectCommand,
  demoCommand,
  serveCommand,
  workerCommand,
  loginCommand,
  logoutCommand,
  connectionCommand,
  taskCommand,
  applyCommand,
  exportCommand,
  auditCommand,
  keysCommand,
  resetPasswordCommand,
];

type OnRun = (entry: CliCommand, command: Command) => Promise<void>;

/** The program with its commands; each calls `onRun` when chosen. docs/cli.md is generated from it. */
export function buildProgram(onRun: OnRun): Command {
  const program = new Command('opendts')
    .description('Migrates live PostgreSQL databases: schema, data, and every change since.')
    .version(packageVersion())
    .helpCommand('help [command]', 'display help for a command');
  for (const entry of COMMANDS) {
    const command = entry.define(program);
    command.action(() => onRun(entry, command));
  }
  return program;
}

/** Runs one command line (without `node` and the script). Never throws; the exit code says how it ended. */
export async function runCli(args: readonly string[], context: CliContext): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = buildProgram(async (entry, command) => {
    code = await entry.run(command, context);
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      // Help nobody asked for is talk; errors are reported below, with everything else.
      writeErr: (text) => void context.stderr.write(text),
      outputError: () => {},
    });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT.ok;
    if (thrown instanceof CommanderError && thrown.code === 'commander.help') return EXIT.usage;
    return reportError(thrown, context, args.includes('--json'));
  }
}
