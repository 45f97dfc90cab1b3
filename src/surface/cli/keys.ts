/** `opendts keys rotate`: another key for the secrets in the store. */
import { join } from 'node:path';
import { Argument } from 'commander';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT } from '../../base/errors/exit.ts';
import { addKey, Keyring } from '../../service/connection/keyring.ts';
import { sealAnew } from '../../service/connection/rotate.ts';
import { openStore } from '../../service/store/open-store.ts';
import type { CliCommand } from './context.ts';
import { databaseUrlOf, readServeOptions, withServeOptions } from './options/serve-options.ts';
import { withJson } from './options/task-options.ts';
import { document } from './view/json.ts';
import { many } from './view/quantities.ts';

export const keysCommand: CliCommand = {
  define(program) {
    const command = program
      .command('keys')
      .description(
        'rotate: put a new key into the key file and seal all secrets with it; the options and variables are those of serve. Nodes that run read the file again when they need the new key; with the embedded PostgreSQL stop serve first',
      )
      .addArgument(new Argument('<action>', 'rotate').choices(['rotate']));
    return withJson(withServeOptions(command, ['dataDir', 'databaseUrlFile', 'keyFile']));
  },

  async run(command, context) {
    const options = readServeOptions(command.opts(), context.config.env);
    if (options.key !== undefined)
      throw new AppError('USAGE', {
        problem: 'A key that stands in a variable cannot be rotated here.',
        remedy: 'Put the keys into a file, the newest first, and give it with --key-file.',
      });
    const dataDir = options.dataDir ?? context.config.dataHome;
    const file = options.keyFile ?? join(dataDir, 'key');
    await using opened = await openStore({ databaseUrl: databaseUrlOf(options), dataDir });
    addKey(file);
    const sealed = await sealAnew(opened.store, new Keyring({ file }));
    context.stdout.write(
      command.opts<{ json?: boolean }>().json === true
        ? document({ kind: 'KeyRotation', data: { sealed, file } })
        : `${many(sealed, 'secret')} sealed with a new key; the older ones stay in ${file}\n`,
    );
    return EXIT.ok;
  },
};
