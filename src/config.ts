/** What the environment says, read once when a process starts and handed on as an argument. */
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Config {
  /** The whole environment, for libpq's variables (PG…) and the `${env:NAME}` references of task files. */
  readonly env: Environment;
  readonly home: string;
  readonly osUser: string;
  /** Where state directories live unless --state-dir names one. */
  readonly stateHome: string;
  /** Where `opendts serve` keeps its data unless --data-dir names a folder. */
  readonly dataHome: string;
  /** Where `opendts login` keeps its token. */
  readonly configHome: string;
  /** The server that commands talk to, and the token they show it. */
  readonly server: string | undefined;
  readonly token: string | undefined;
  /** Connection strings used when neither an option nor the task file gives one. */
  readonly sourceUri: string | undefined;
  readonly targetUri: string | undefined;
  readonly noColor: boolean;
  /** TERM=dumb: nothing that moves the cursor. */
  readonly dumbTerminal: boolean;
  /** Unexpected errors with their stack. */
  readonly debug: boolean;
  readonly failpoint: string | undefined;
}

/** Reads every setting; an empty variable counts as absent. */
export function readConfig(env: Environment): Config {
  const home = env.HOME || homedir();
  return {
    env,
    home,
    osUser: osUser(env),
    stateHome: join(env.XDG_STATE_HOME || join(home, '.local', 'state'), 'opendts'),
    dataHome: dataHome(env, home),
    configHome: join(env.XDG_CONFIG_HOME || join(home, '.config'), 'opendts'),
    server: env.OPENDTS_SERVER || undefined,
    token: env.OPENDTS_TOKEN || undefined,
    sourceUri: env.OPENDTS_SOURCE_PGURI || undefined,
    targetUri: env.OPENDTS_TARGET_PGURI || undefined,
    noColor: Boolean(env.NO_COLOR),
    dumbTerminal: env.TERM === 'dumb',
    debug: env.OPENDTS_DEBUG === '1',
    failpoint: env.OPENDTS_FAILPOINT || undefined,
  };
}

/** Under root the embedded PostgreSQL runs as another user, to whom the home folder is closed. */
function dataHome(env: Environment, home: string): string {
  if (process.getuid?.() === 0) return '/var/lib/opendts';
  return join(env.XDG_DATA_HOME || join(home, '.local', 'share'), 'opendts');
}

/** A container may run as a user id that has no name. */
function osUser(env: Environment): string {
  try {
    return userInfo().username;
  } catch {
    return env.USER || 'postgres';
  }
}
