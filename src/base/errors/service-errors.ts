/** Errors of the table about the service: its store, its people, its connections. */
import { area } from './error-entry.ts';
import { EXIT } from './exit.ts';

const usage = area(EXIT.usage);
const connection = area(EXIT.connection);
const check = area(EXIT.check);

export const SERVICE_ERRORS = {
  // Store
  STORE_UNAVAILABLE: connection.later(
    503,
    'The metadata database does not answer: {problem}.',
    'See that it runs and can be reached (DATABASE_URL); the same call may be made again.',
  ),
  STORE_ADDRESS_INVALID: usage(
    400,
    'DATABASE_URL cannot be read: {problem}.',
    'Give a URI (postgresql://user@host:5432/db) or keyword/value pairs, with everything in it: PG… variables do not count here.',
  ),
  STORE_NEWER: check(
    409,
    'The metadata database is of a newer opendts, and migration {name} is not for this one: {why}',
    'Run the newer version here as well, or restore the backup made before the upgrade.',
  ),
  STORE_IN_USE: check.later(
    409,
    'Migration {name} changes the metadata database for older versions, and workers of such run: {workers}.',
    'End them first (SIGTERM; "opendts worker list" shows them), then start this one again. One that was killed is gone after 15 seconds.',
  ),
  STORE_TOO_OLD: check(
    409,
    'The metadata database is PostgreSQL {version}: workers need 13 or newer for their queue.',
    'Give a newer server, or run this node without a worker (--no-worker).',
  ),
  STORE_BEHIND: check(
    503,
    'The metadata database lacks migration {name}, which this node has applied: it is not the one that it was.',
    'Start the node again.',
  ),
  MIGRATION_CHANGED: check(
    409,
    'Migration {name} was applied to the metadata database in another form than this opendts has it.',
    'Run the opendts that applied it; if it was a development version, start with an empty database.',
  ),
  DATA_DIR_LOCKED: usage.later(
    409,
    'Another opendts (pid {pid}) is running with data directory {dir}.',
    'Stop it, give another --data-dir, or let both use one database (DATABASE_URL).',
  ),
  DATA_DIR_UNUSABLE: usage(
    400,
    'Data directory {dir} cannot be used: {problem}.',
    'Give another with --data-dir.',
  ),
  CONFIG_INVALID: usage(
    400,
    'The configuration cannot be used: {where}: {problem}.',
    '"opendts serve --help" lists the options with their variables.',
  ),
  SEALING_KEY_INVALID: usage(
    400,
    'The key for secrets cannot be used: {problem}.',
    'Make one (openssl rand -base64 32) and give it by --key-file or OPENDTS_KEY; all nodes of one store need the same.',
  ),
  SEALING_KEY_UNKNOWN: check(
    500,
    'Secrets in the store are sealed with a key that is not here ({keyId}).',
    'Give the key file that the other nodes use, with its older keys.',
  ),
  // People
  LOGIN_FAILED: connection(
    401,
    'Name or password is wrong.',
    'Somebody who administers opendts can give a new password; so can whoever runs the server (opendts reset-password).',
  ),
  LOGIN_BLOCKED: connection.later(429, 'Too many attempts to log in.', 'Wait {seconds} s.'),
  NOT_LOGGED_IN: connection(
    401,
    'There is no valid session or token.',
    'Log in (opendts login), or send an API token: Authorization: Bearer opendts_…',
  ),
  CSRF_TOKEN_WRONG: connection(
    403,
    'The X-CSRF-Token does not belong to the session.',
    'GET /api/v1/session tells it.',
  ),
  PASSWORD_CHANGE_NEEDED: connection(
    403,
    'The one-time password has to be changed first.',
    'PUT /api/v1/password with {"current": …, "password": …}.',
  ),
  PASSWORD_SAME: usage(400, 'The new password is the current one.', 'Choose another.'),
  FORBIDDEN: connection(403, 'You may not do that: it needs {right}.', 'Ask {whom}.'),
  LAST_ADMINISTRATOR: usage(
    409,
    'Nobody would be left to administer opendts.',
    'Let another account administer first.',
  ),
  CLI_NOT_LOGGED_IN: connection(
    401,
    'There is no token for {server}.',
    'Run "opendts login", or set OPENDTS_SERVER and OPENDTS_TOKEN.',
  ),
  SERVER_UNREACHABLE: connection.later(
    502,
    'No opendts answers at {server}: {problem}.',
    'Start it (opendts serve), or correct OPENDTS_SERVER.',
  ),
  SERVER_FAILED: connection(502, '{detail} ({code})', '{remedy}'),
  // Requests
  INPUT_INVALID: usage(
    400,
    '{problem}.',
    'Correct the request; /api/v1/openapi.json describes it, "--help" the options of a command.',
  ),
  NOT_FOUND: usage(
    404,
    'There is no {kind} "{name}".',
    'Names and ids are listed by GET on the collection, or "list" on the command line.',
  ),
  NAME_TAKEN: usage(409, 'There is a {kind} "{name}" already.', 'Choose another name.'),
  CHANGED_MEANWHILE: usage(
    409,
    'Somebody has changed {kind} "{name}" since version {version}.',
    'Read it again, and make the change to what it is now.',
  ),
  EVENTS_FULL: connection.later(
    503,
    'This node has {count} clients that follow events, and takes no more.',
    'Try again, or ask another node.',
  ),
  IDEMPOTENCY_KEY_USED: usage(
    409,
    'The Idempotency-Key was used for another request.',
    'Use a new key for every new request.',
  ),
  // Connections
  NETWORK_REFUSED: check(
    403,
    'Host {host} ({address}) is outside of the networks that connections may reach.',
    'Whoever runs the server can allow it (--allow-network).',
  ),
  HOST_REFUSED: usage(
    400,
    'A connection of the service cannot use the socket {host}.',
    'Give a host name or an address.',
  ),
  FILE_REFUSED: usage(
    400,
    '{what} {path} does not lie in a folder that connections may read from.',
    'Put it into the folder given to the server by {option}.',
  ),
  STORE_AS_ENDPOINT: check(
    409,
    'The connection leads to the metadata database of opendts itself.',
    'Migrate from and to other databases.',
  ),
  SECRET_NEEDED: usage(
    400,
    'Another address, user or TLS setting needs the password again.',
    'Give password, passwordFile or passwordVariable with the change.',
  ),
  SECRET_UNREADABLE: check(
    409,
    'The password of the connection cannot be read from {where}: {problem}.',
    'Put it there, on the server.',
  ),
};
