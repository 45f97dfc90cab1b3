/** `opendts cleanup`: removes what a migration created for itself on both ends; the migrated tables stay. */
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT } from '../../base/errors/exit.ts';
import { cleanup, type Cleaned } from '../../service/task/release/cleanup.ts';
import { assertNoLetters } from '../../service/task/dead-letters.ts';
import { forgetTasks } from '../../service/task/owner/state-dir.ts';
import type { CliCommand, CliContext } from './context.ts';
import { document } from './view/json.ts';
import { endName, openSide } from './sides.ts';
import { resolveTask, withEnds, withJson, type TaskFlags } from './options/task-options.ts';
import { printable } from './view/text.ts';

interface CleanupFlags extends TaskFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly dropDeadLetters?: boolean;
  readonly sourceGone?: boolean;
  readonly stateDir?: string;
}

export const cleanupCommand: CliCommand = {
  define(program) {
    const command = program
      .command('cleanup')
      .description('remove what a migration created for itself on both ends; migrated tables stay');
    return withJson(withEnds(command))
      .option('--yes', 'do not ask')
      .option('--dry-run', 'only list what would be removed')
      .option(
        '--drop-dead-letters',
        'also when changes that the target has refused are kept there: they are lost',
      )
      .option(
        '--source-gone',
        'where the source cannot be reached, clean up the target alone: that server is gone for good',
      )
      .option('--state-dir <folder>', 'where that migration kept its lock and its options');
  },

  async run(command, context) {
    const flags = command.opts<CleanupFlags>();
    const task = {
      ...resolveTask(flags, context),
      ...(flags.sourceGone ? { sourceGone: 'if-unreachable' as const } : {}),
    };
    const { removed: planned, kept } = await cleanup({ ...task, dryRun: true });
    if (flags.dryRun) {
      say({ removed: planned, kept }, flags, context);
      return EXIT.ok;
    }
    const dropLetters = flags.dropDeadLetters === true;
    if (!dropLetters) {
      await using target = await openSide(task, 'target', 'cleanup', context.signal);
      await assertNoLetters(target);
    }
    if (planned.length > 0 && !flags.yes) await confirm(planned, context);
    const removed =
      planned.length > 0 ? (await cleanup({ ...task, dryRun: false, dropLetters })).removed : [];
    const stateFolder = flags.stateDir ?? context.config.stateHome;
    const forgotten = forgetTasks(stateFolder, endName(task.source), endName(task.target));
    say({ removed: [...removed, ...forgotten.map((file) => `file ${file}`)], kept }, flags, context);
    return EXIT.ok;
  },
};

function say(
  { removed: objects, kept }: Cleaned,
  { json, dryRun = false }: CleanupFlags,
  { stdout }: CliContext,
): void {
  if (json) {
    stdout.write(document({ kind: 'Cleanup', data: { dryRun, objects, kept } }));
    return;
  }
  if (objects.length === 0) stdout.write('nothing to remove\n');
  for (const object of objects) stdout.write(`${dryRun ? 'would remove' : 'removed'} ${printable(object)}\n`);
  for (const object of kept) stdout.write(`${dryRun ? 'would leave' : 'left'} ${printable(object)}\n`);
}

/** Lists what will go and waits for a yes. Throws USAGE where there is nobody to ask, or on any other answer. */
async function confirm(planned: readonly string[], { stdin, stderr, signal }: CliContext): Promise<void> {
  if (!stdin.isTTY || !stderr.isTTY) {
    throw new AppError('USAGE', {
      problem: 'cleanup removes objects and has no terminal to ask on.',
      remedy: 'Add --yes, or look first with --dry-run.',
    });
  }
  for (const object of planned) stderr.write(`  ${printable(object)}\n`);
  // Without line editing of its own it leaves Ctrl-C to the process; Ctrl-D closes it, which is a no.
  using asking = createInterface({ input: stdin, terminal: false });
  stderr.write('Remove these? [y/N] ');
  const closed = once(asking, 'close', { signal }).then(() => '');
  const answer = await Promise.race([asking.question('', { signal }), closed]);
  if (!/^y(es)?$/i.test(answer.trim())) {
    throw new AppError('USAGE', { problem: 'Nothing was removed.', remedy: 'Answer "y" to remove.' });
  }
}
