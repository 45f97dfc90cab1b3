/**
 * libpq's URI form: `postgresql://user:password@host:port,host:port/db?parameter=value`. Not WHATWG: several hosts, hosts that are
 * folders, `+` is a plus. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
import { invalidConninfo, type Side } from './conninfo.ts';
import { requireKnown, type Parameters } from './parameters.ts';

const SCHEME = /^postgres(?:ql)?:\/\//;
/** user, password, hosts, database, query. A password ends at the first `@` or `/`, as in libpq. */
const URI = /^(?:([^:@/]*)(?::([^@/]*))?@)?([^/?]*)(?:\/([^?]*))?(?:\?([^]*))?$/;
const HOST = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/;

export function isUri(text: string): boolean {
  return SCHEME.test(text);
}

/** Reads a URI into libpq's parameters. Throws CONNINFO_INVALID, never quoting a part that may hold a password. */
export function parseUri(text: string, side: Side): Parameters {
  const parameters = new Map<string, string>();
  const [, user = '', password = '', hosts = '', database = '', query = ''] =
    URI.exec(text.replace(SCHEME, '')) ?? [];
  // An `@` left over here was meant to end the password: what stands before it must not be shown as a host or database.
  if (`${hosts}${database}`.includes('@'))
    throw invalidConninfo(
      side,
      'there is an "@" or "/" too many (in a password write "@" as %40 and "/" as %2F)',
    );
  const store = (name: string, encoded: string) => {
    if (encoded !== '') parameters.set(name, decode(name, encoded, side));
  };
  store('user', user);
  store('password', password);
  const list = hosts.split(',').map((host) => splitHost(host, side));
  // libpq keeps the lists as text, so that `%2C` inside a host separates too.
  store('host', list.every(({ host }) => host === '') ? '' : list.map(({ host }) => host).join(','));
  store('port', list.every(({ port }) => port === '') ? '' : list.map(({ port }) => port).join(','));
  store('dbname', database);
  readQuery(query, parameters, side);
  return parameters;
}

function splitHost(text: string, side: Side): { host: string; port: string } {
  const match = HOST.exec(text);
  if (!match)
    throw invalidConninfo(
      side,
      'a host cannot be read (host:port; an IPv6 address stands in brackets; in a password write "/" as %2F)',
    );
  const [, v6, name, port = ''] = match;
  return { host: v6 ?? name ?? '', port };
}

function readQuery(query: string, parameters: Map<string, string>, side: Side): void {
  let previous: string | null = null;
  for (const pair of query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=');
    if (equals < 0)
      throw invalidConninfo(side, `a parameter ${previous ? `after "${previous}" ` : ''}has no "="`);
    const name = decode('a parameter name', pair.slice(0, equals), side);
    const value = decode(name, pair.slice(equals + 1), side);
    // JDBC's spelling, which libpq understands too.
    if (name === 'ssl' && value === 'true') parameters.set('sslmode', 'require');
    else {
      requireKnown(name, previous, side);
      parameters.set(name, value);
    }
    previous = name;
  }
}

function decode(name: string, encoded: string, side: Side): string {
  let value: string;
  try {
    value = decodeURIComponent(encoded);
  } catch {
    // The thrown error is no cause: nothing of the text may get into a log.
    throw invalidConninfo(side, `the percent encoding of ${name} is broken (write "%" as %25)`);
  }
  if (value.includes('\0')) throw invalidConninfo(side, `${name} contains %00`);
  return value;
}
