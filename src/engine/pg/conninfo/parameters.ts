/**
 * The parameters of libpq: which we use, which mean nothing to us and are accepted, and which are refused because ignoring them
 * would break a promise about security. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
import { editDistance } from '../../../base/runtime/edit-distance.ts';
import { invalidConninfo, type Side } from './conninfo.ts';

/** Parameter → value as text, from one place (connection string, service file). */
export type Parameters = ReadonlyMap<string, string>;

interface Parameter {
  /** libpq's environment variable. */
  readonly env?: string;
  /** Refused unless the value is one of `harmless` or empty. */
  readonly refused?: { readonly because: string; readonly harmless?: readonly string[] };
}

const PARAMETERS: Readonly<Record<string, Parameter>> = {
  host: { env: 'PGHOST' },
  hostaddr: { env: 'PGHOSTADDR' },
  port: { env: 'PGPORT' },
  dbname: { env: 'PGDATABASE' },
  user: { env: 'PGUSER' },
  password: { env: 'PGPASSWORD' },
  passfile: { env: 'PGPASSFILE' },
  service: { env: 'PGSERVICE' },
  servicefile: { env: 'PGSERVICEFILE' },
  sslmode: { env: 'PGSSLMODE' },
  sslnegotiation: { env: 'PGSSLNEGOTIATION' },
  sslrootcert: { env: 'PGSSLROOTCERT' },
  sslcert: { env: 'PGSSLCERT' },
  sslkey: { env: 'PGSSLKEY' },
  ssl_min_protocol_version: { env: 'PGSSLMINPROTOCOLVERSION' },
  ssl_max_protocol_version: { env: 'PGSSLMAXPROTOCOLVERSION' },
  connect_timeout: { env: 'PGCONNECT_TIMEOUT' },
  options: { env: 'PGOPTIONS' },
  target_session_attrs: { env: 'PGTARGETSESSIONATTRS' },

  // Accepted and without effect: we set these ourselves, or they tune what the driver does not have.
  application_name: {},
  fallback_application_name: {},
  client_encoding: {},
  replication: {},
  keepalives: {},
  keepalives_idle: {},
  keepalives_interval: {},
  keepalives_count: {},
  tcp_user_timeout: {},
  load_balance_hosts: {},
  sslcompression: {},
  sslsni: {},
  krbsrvname: {},
  gsslib: {},
  gssdelegation: {},
  min_protocol_version: {},
  max_protocol_version: {},

  sslcrl: { env: 'PGSSLCRL', refused: { because: 'revocation lists are not read' } },
  sslcrldir: { env: 'PGSSLCRLDIR', refused: { because: 'revocation lists are not read' } },
  sslpassword: { refused: { because: 'encrypted key files are not opened; give a key without passphrase' } },
  sslcertmode: {
    env: 'PGSSLCERTMODE',
    refused: { because: 'whether the server asked for a certificate is not known', harmless: ['allow'] },
  },
  requirepeer: { env: 'PGREQUIREPEER', refused: { because: 'the user of a unix socket is not checked' } },
  require_auth: {
    env: 'PGREQUIREAUTH',
    refused: { because: 'the login method the server asks for is not limited' },
  },
  channel_binding: {
    env: 'PGCHANNELBINDING',
    refused: {
      because: 'channel binding is not spoken; use sslmode=verify-full',
      harmless: ['prefer', 'disable'],
    },
  },
  gssencmode: {
    env: 'PGGSSENCMODE',
    refused: { because: 'GSS encryption is not spoken; use TLS', harmless: ['prefer', 'disable'] },
  },
  scram_client_key: { refused: { because: 'SCRAM keys are not used; give the password' } },
  scram_server_key: { refused: { because: 'SCRAM keys are not used; give the password' } },
};

/** Throws CONNINFO_INVALID for a parameter libpq does not have. `after` is the parameter before it in the text, if known. */
export function requireKnown(name: string, after: string | null, side: Side): void {
  if (Object.hasOwn(PARAMETERS, name)) return;
  // `password=two words=x`: the unknown name is a piece of the password.
  if (after === 'password')
    throw invalidConninfo(
      side,
      "what follows the password is not a parameter (quote a password with spaces: password='…', in a URI encode it)",
    );
  const near = nearest(name);
  throw invalidConninfo(side, `unknown parameter "${name}"${near ? ` (did you mean "${near}"?)` : ''}`);
}

/** Throws CONNINFO_INVALID for a parameter that promises what we would not keep. */
export function requireKept(name: string, value: string, side: Side): void {
  const refused = PARAMETERS[name]?.refused;
  if (!refused || value === '' || refused.harmless?.includes(value)) return;
  throw invalidConninfo(side, `parameter "${name}" is not supported: ${refused.because}`);
}

/** The parameters the environment gives. Variables that are set but empty count as not set. */
export function environmentParameters(env: Readonly<Record<string, string | undefined>>): Parameters {
  return new Map(
    Object.entries(PARAMETERS).flatMap(([name, parameter]): [string, string][] => {
      const value = parameter.env ? env[parameter.env] : undefined;
      return value ? [[name, value]] : [];
    }),
  );
}

function nearest(name: string): string | null {
  const [best] = Object.keys(PARAMETERS)
    .map((known) => ({ known, distance: editDistance(name.toLowerCase(), known) }))
    .toSorted((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(1, Math.min(3, Math.floor(name.length / 2))) ? best.known : null;
}
