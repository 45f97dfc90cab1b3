/** `opendts reset-password`: the way back in for whoever runs the server and has lost the password. Works on the store, without a server. */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT } from '../../base/errors/exit.ts';
import { resetPassword } from '../../service/account/reset-password.ts';
import { findAccount } from '../../service/store/account/find-account.ts';
import { insertAudit } from '../../service/store/audit/insert-audit.ts';
import { openStore } from '../../service/store/open-store.ts';
import type { CliCommand } from './context.ts';
import { databaseUrlOf, readServeOptions, withServeOptions } from './options/serve-options.ts';
import { withJson } from './options/task-options.ts';
import { document } from './view/json.ts';

export const resetPasswordCommand: CliCommand = {
  define(program) {
    const command = program
      .command('reset-password')
      .description(
        'for whoever runs the server: give an account a one-time password; the options and variables are those of serve. With the embedded PostgreSQL stop serve first',
      )
      .argument('[name]', 'name of the account', 'admin');
    return withJson(withServeOptions(command, ['dataDir', 'databaseUrlFile']));
  },

  async run(command, { config, stdout }) {
    const [name] = command.processedArgs as [string];
    const options = readServeOptions(command.opts(), config.env);
    const dataDir = options.dataDir ?? config.dataHome;
    await using opened = await openStore({ databaseUrl: databaseUrlOf(options), dataDir });
    const password = await opened.store.transaction(async (db) => {
      const account = await findAccount(db, name);
      if (account === null) throw new AppError('NOT_FOUND', { kind: 'account', name });
      await insertAudit(db, {
        accountId: null,
        accountName: config.osUser,
        via: 'command line',
        address: 'this machine',
        requestId: randomUUID(),
        operation: 'account.resetPassword',
        groupId: null,
        groupName: null,
        objectId: account.id,
        objectName: account.name,
        outcome: 'done',
        errorCode: null,
        before: undefined,
        after: undefined,
      });
      return resetPassword(db, account);
    });
    stdout.write(
      command.opts<{ json?: boolean }>().json === true
        ? document({ kind: 'OneTimePassword', data: { account: name, oneTimePassword: password } })
        : `one-time password of ${name}: ${password} (shown once; change it)\n`,
    );
    return EXIT.ok;
  },
};
