/** Connection strings of libpq (URI or keyword/value) as a ConnInfo. */
import { AppError } from '../../../base/errors/app-error.ts';
import type { ConnInfo, Side } from './conninfo.ts';

export function parseConninfo(text: string, side: Side): ConnInfo {
  if (!/^postgres(ql)?:\/\//.test(text))
    throw new AppError('CONNINFO_INVALID', { side, problem: 'not a URI' });
  const url = new URL(text);
  const host = decodeURIComponent(url.hostname);
  return {
    hosts: [{ host, port: Number(url.port || 5432), password: null }],
    targetSessionAttrs: 'any',
    database: decodeURIComponent(url.pathname.slice(1)),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    ssl: { mode: 'prefer', negotiation: 'postgres', rootCert: null, cert: null, key: null },
    connectTimeoutSeconds: 10,
    options: null,
  };
}
