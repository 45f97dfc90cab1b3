/** libpq's connection service file: `[name]` sections of `parameter=value`. https://www.postgresql.org/docs/current/libpq-pgservice.html */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalidConninfo, type Ambient, type Side } from './conninfo.ts';
import { requireKnown, type Parameters } from './parameters.ts';

/** The parameters of a service: the user's file first, then the system's. Throws CONNINFO_INVALID when no file defines it. */
export function readService(
  name: string,
  userFile: string | undefined,
  ambient: Ambient,
  side: Side,
): Parameters {
  const system = ambient.env.PGSYSCONFDIR;
  const files = [
    userFile ?? join(ambient.home, '.pg_service.conf'),
    ...(system ? [join(system, 'pg_service.conf')] : []),
  ];
  if (userFile !== undefined && !existsSync(userFile))
    throw invalidConninfo(side, `service file ${userFile} does not exist`);
  for (const file of files.filter((path) => existsSync(path))) {
    const parameters = findSection(file, name, side);
    if (parameters) return parameters;
  }
  throw invalidConninfo(side, `service "${name}" is not defined in ${files.join(' or ')}`);
}

function findSection(file: string, name: string, side: Side): Parameters | null {
  let found: Map<string, string> | null = null;
  for (const [index, raw] of readFileSync(file, 'utf8').split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (found) return found;
      if (line === `[${name}]`) found = new Map();
    } else if (found) {
      const where = `${file}, line ${index + 1}`;
      const equals = line.indexOf('=');
      if (equals < 0) throw invalidConninfo(side, `${where}: no "=" (LDAP services are not read)`);
      const parameter = line.slice(0, equals).trimEnd();
      if (parameter === 'service' || parameter === 'servicefile')
        throw invalidConninfo(side, `${where}: a service cannot refer to another service`);
      requireKnown(parameter, null, side);
      // The first of two equal parameters wins, as in libpq.
      if (!found.has(parameter)) found.set(parameter, line.slice(equals + 1));
    }
  }
  return found;
}
