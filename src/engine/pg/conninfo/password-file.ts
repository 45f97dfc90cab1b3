/** libpq's password file: lines of `host:port:database:user:password`. https://www.postgresql.org/docs/current/libpq-pgpass.html */
import { readFileSync, statSync } from 'node:fs';

export interface PasswordQuery {
  /** Name or address as given; `localhost` for the default unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The lines of a password file, or none when it is missing or, as in libpq, readable by others (then with a warning). */
export function readPasswordFile(path: string, warn: (text: string) => void): readonly string[] {
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status) return [];
  if (!status.isFile()) {
    warn(`Password file ${path} is not a plain file and is ignored.`);
    return [];
  }
  if ((status.mode & 0o077) !== 0) {
    warn(
      `Password file ${path} can be read by others and is ignored; make it private with: chmod 600 ${path}`,
    );
    return [];
  }
  return readFileSync(path, 'utf8').split(/\r?\n/);
}

/** The password of the first line that matches, or null. */
export function findPassword(lines: readonly string[], query: PasswordQuery): string | null {
  const wanted = [query.host, String(query.port), query.database, query.user];
  for (const line of lines) {
    if (line.startsWith('#')) continue;
    const fields = splitFields(line);
    const password = fields[4];
    if (password === undefined) continue;
    if (wanted.every((value, i) => fields[i] === '*' || unescape(fields[i] ?? '') === value))
      return unescape(password);
  }
  return null;
}

/** Splits at `:` that is not escaped; escapes stay, so that `\*` is not the wildcard. */
function splitFields(line: string): string[] {
  return [...line.matchAll(/((?:[^:\\]|\\.|\\$)*)(?::|$)/g)].map(([, field = '']) => field).slice(0, 5);
}

function unescape(field: string): string {
  return field.replaceAll(/\\(.)/g, '$1');
}
