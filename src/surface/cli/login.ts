/** `opendts login`: a name and a password for an API token, which is kept for the other commands. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { EXIT } from '../../base/errors/exit.ts';
import { callApi, loginFile, serverOf, type SavedLogin } from './api-client.ts';
import type { CliCommand, CliContext } from './context.ts';
import { withJson } from './options/task-options.ts';
import { readSecrets } from './read-secret.ts';
import { document } from './view/json.ts';

const DAYS = 30;

export const loginCommand: CliCommand = {
  define(program) {
    const command = program
      .command('login')
      .description(
        'log in to a server and keep a token for the other commands; the password is read from the terminal or stdin, a one-time password is changed (a second line)',
      )
      .argument('[server]', 'http://host:8620 (OPENDTS_SERVER; default: this machine)')
      .option('--user <name>', 'name of the account', 'admin');
    return withJson(command);
  },

  async run(command, context) {
    const { user, json = false } = command.opts<{ user: string; json?: boolean }>();
    const config = context.config;
    const server = serverOf(command.args[0] === undefined ? config : { ...config, server: command.args[0] });
    const { headers, account } = await openSession(server, user, context);
    const name = `cli ${hostname()} ${new Date().toISOString()}`.slice(-100);
    const access = { server, headers };
    const { answer: token } = await callApi(access, 'token.create', { name, days: DAYS }, context.signal);
    await callApi(access, 'session.delete', {}, context.signal);
    keep({ server, token: token.token }, context);
    const shown = { server, account, tokenName: name, expiresAt: token.expiresAt };
    context.stdout.write(
      json
        ? document({ kind: 'Login', data: shown })
        : `logged in to ${server} as ${account} for ${DAYS} days\n`,
    );
    return EXIT.ok;
  },
};

interface OpenSession {
  readonly headers: Readonly<Record<string, string>>;
  readonly account: string;
}

async function openSession(server: string, name: string, context: CliContext): Promise<OpenSession> {
  // Both are asked for at once where nobody sits before a terminal: stdin can be read only once.
  const questions = [`Password of ${name} at ${server}: `, 'New password: '];
  const isTerminal = context.stdin.isTTY;
  const [password = '', typed = ''] = await readSecrets(
    isTerminal ? questions.slice(0, 1) : questions,
    context,
  );
  const first = await callApi({ server, headers: {} }, 'session.create', { name, password }, context.signal);
  const { account, csrfToken } = first.answer;
  const headers = { cookie: first.cookie, 'x-csrf-token': csrfToken ?? '' };
  if (!account.mustChangePassword) return { headers, account: account.name };
  context.stderr.write('The one-time password has to be changed.\n');
  const [changed = ''] = isTerminal ? await readSecrets(questions.slice(1), context) : [typed];
  await callApi(
    { server, headers },
    'password.change',
    { current: password, password: changed },
    context.signal,
  );
  const again = await callApi(
    { server, headers: {} },
    'session.create',
    { name, password: changed },
    context.signal,
  );
  return {
    headers: { cookie: again.cookie, 'x-csrf-token': again.answer.csrfToken ?? '' },
    account: account.name,
  };
}

function keep(login: SavedLogin, { config }: CliContext): void {
  const file = loginFile(config);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}
