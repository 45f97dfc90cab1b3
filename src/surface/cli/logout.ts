/** `opendts logout`: the token of the last login is revoked, and forgotten here. */
import { rmSync } from 'node:fs';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT } from '../../base/errors/exit.ts';
import { callApi, loginFile, readLogin, serverOf, type Access } from './api-client.ts';
import type { CliCommand } from './context.ts';
import { withJson } from './options/task-options.ts';
import { document } from './view/json.ts';

export const logoutCommand: CliCommand = {
  define(program) {
    const command = program
      .command('logout')
      .description('revoke the token that "opendts login" has kept, and forget it');
    return withJson(command);
  },

  async run(command, { config, signal, stdout }) {
    const login = readLogin(config);
    if (login === null) throw new AppError('CLI_NOT_LOGGED_IN', { server: serverOf(config) });
    const { server, token } = login;
    await revoke({ server, headers: { authorization: `Bearer ${token}` } }, token, signal);
    rmSync(loginFile(config), { force: true });
    const { json = false } = command.opts<{ json?: boolean }>();
    stdout.write(json ? document({ kind: 'Logout', data: { server } }) : `logged out of ${server}\n`);
    return EXIT.ok;
  },
};

/** One that is good for nothing any more need not be revoked. */
async function revoke(access: Access, token: string, signal: AbortSignal): Promise<void> {
  try {
    const { answer } = await callApi(access, 'token.list', {}, signal);
    const own = answer.items.find(({ prefix, revokedAt }) => token.startsWith(prefix) && revokedAt === null);
    if (own !== undefined) await callApi(access, 'token.revoke', { token: own.id }, signal);
  } catch (thrown) {
    if (!(thrown instanceof AppError && thrown.code === 'NOT_LOGGED_IN')) throw thrown;
  }
}
