/** `opendts demo`: two embedded servers, a shop under load, a migration between them, and the proof that both are the same. */
import { EXIT } from '../../base/errors/exit.ts';
import { runDemo } from '../../demo/demo.ts';
import type { CliCommand } from './context.ts';
import { document } from './view/json.ts';
import { withJson } from './options/task-options.ts';

export const demoCommand: CliCommand = {
  define(program) {
    const command = program
      .command('demo')
      .description('see it work: a live migration between two servers of its own, on this machine')
      .option('--keep', 'leave both servers running at the end');
    return withJson(command);
  },

  async run(command, { signal, stdout, stderr }) {
    const { keep = false, json = false } = command.opts<{ keep?: boolean; json?: boolean }>();
    // The story is what a person asked for; a program gets the document alone.
    const story = json ? stderr : stdout;
    const result = await runDemo({ keep, signal, say: (line) => void story.write(`${line}\n`) });
    if (json) stdout.write(document({ kind: 'Demo', data: result }));
    return EXIT.ok;
  },
};
