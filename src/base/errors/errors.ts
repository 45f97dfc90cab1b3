/**
 * Every error the product can report, in one table: code → retry or not, exit code of the CLI, HTTP status,
 * what happened, what to do. `{name}` is replaced by the fact of that name. Facts never hold row values or secrets.
 * docs/errors.md is generated from here (scripts/write-docs.ts).
 */
import { area, type ErrorEntry } from './error-entry.ts';
import { EXIT } from './exit.ts';
import { SCHEMA_ERRORS } from './schema-errors.ts';
import { SERVICE_ERRORS } from './service-errors.ts';
import { TABLE_ERRORS } from './table-errors.ts';
import { TASK_ERRORS } from './task-errors.ts';

const usage = area(EXIT.usage);
const connection = area(EXIT.connection);
const check = area(EXIT.check);
const data = area(EXIT.data);
const differences = area(EXIT.differences);
const timeout = area(EXIT.timeout);
const unexpected = area(EXIT.unexpected);

export const ERRORS = {
  // Usage
  USAGE: usage(400, '{problem}', '{remedy}'),
  CONNINFO_INVALID: usage(
    400,
    'The {side} connection string cannot be read: {problem}.',
    'Give a URI (postgresql://user@host:5432/db) or keyword/value pairs (host=… dbname=…); parameters are those of libpq.',
  ),
  TASK_FILE_INVALID: usage(
    400,
    'Task file {file}, line {line}, column {column}: {problem}.',
    'Correct the file at that place.',
  ),
  TASK_FILE_UNREADABLE: usage(400, 'Task file {file} cannot be read: {problem}.', 'Check path and rights.'),
  STATE_DIR_OTHER_OPTIONS: usage(
    409,
    'State directory {dir} belongs to a migration with other options ({difference}).',
    'Repeat the options of the first run, give another --state-dir, or end that migration with "opendts cleanup".',
  ),
  STATE_DIR_LOCKED: usage.later(
    409,
    'Another opendts (pid {pid}) is running with state directory {dir}.',
    'Wait for it, stop it, or give another --state-dir.',
  ),
  STATE_DIR_UNUSABLE: usage(
    400,
    'State directory {dir} cannot be used: {problem}.',
    'Give a directory that can be written to with --state-dir.',
  ),
  EMBEDDED_MISSING: usage(
    500,
    'The embedded PostgreSQL {major} is not installed for {platform}.',
    'Run "npm install" on a supported platform (Linux x64 or arm64), or give your own servers.',
  ),
  // Connection
  CONNECT_FAILED: connection.later(502, 'Cannot connect to the {side} at {endpoint}: {problem}.', '{remedy}'),
  CONNECT_REFUSED_LOGIN: connection(
    401,
    'The {side} at {endpoint} refused the login of user "{user}": {problem}.',
    '{remedy}',
  ),
  DATABASE_MISSING: connection(
    404,
    'Database "{database}" does not exist on the {side} at {endpoint}.',
    'Create it (createdb), or correct the name.',
  ),
  CONNECTION_LOST: connection.later(
    503,
    'The connection to the {side} was lost: {problem}.',
    'Run the same command again: it continues where it was.',
  ),
  SLOT_IN_USE: connection.later(
    409,
    'Replication slot {slot} is in use by {user}.',
    'What it reads and confirms is lost for this migration. End it, on the source: SELECT pg_catalog.pg_terminate_backend({pid}); then see that it does not come back.',
  ),
  SLOT_LEFT: connection.later(
    503,
    'The source has failed over, and a replication slot may have stayed on {servers}: {problem}',
    'All else on the source was removed. Run there: {command} Then run cleanup again; a server that is gone for good is to be left out of --source.',
  ),
  SOURCE_IS_STANDBY: connection.later(
    503,
    'The source is a standby: changes can be read from a primary only. Slot {slot} {state}.',
    'Promote it, or give all hosts of the source with target_session_attrs=read-write, so that the primary is found.',
  ),
  SOURCE_FORMER: connection.later(
    409,
    'The source is on timeline {current}, but changes of timeline {recorded} have been applied already: it is the primary of before a failover.',
    'Stop that server, or take its address out of --source, so that the new primary is reached.',
  ),
  SOURCE_SILENT: connection.later(
    503,
    'The source has sent nothing for {seconds} s.',
    'Run the same command again: it continues where it was.',
  ),
  LANE_MOVED: connection.later(
    503,
    'The books on the target were opened anew while changes were being applied.',
    'Run again: it goes on from what they say.',
  ),
  SNAPSHOT_LOST: connection.later(
    503,
    'The snapshot that tables are copied under is gone: its session ended.',
    'Run again: what is copied stays, the rest is copied under a new snapshot.',
  ),
  SOURCE_NOT_RELEASED: connection(
    409,
    'What the migration made in the source cannot be removed from here: {problem}.',
    'Correct --source and run again; or, where that server is gone for good, with --source-gone; or run this on the source, database "{database}", as a superuser or its owner:\n{commands}',
  ),
  OTHER_SERVER: connection(
    409,
    'Connections for the {side} reach different servers ({first}; {second}).',
    'Give the address of one server, not of a load balancer or of a name that stands for several.',
  ),
  POOLER: connection(
    409,
    'A connection pooler sits between opendts and the {side}.',
    'Give the address and port of the server itself: snapshots, settings and locks need sessions that nobody shares.',
  ),
  // Check before anything is changed
  SAME_DATABASE: check(
    409,
    'Source and target are the same database ("{database}" on one server).',
    'Correct --source or --target.',
  ),
  NO_REPLICATION_RIGHT: check(
    403,
    'User "{user}" may not use replication on the source.',
    'As an administrator run: ALTER ROLE {role} REPLICATION;   -- on a managed service: grant its replication role',
  ),
  TARGET_TABLE_MISSING: check(404, 'The target lacks {objects}.', 'Create them, or add "schema" to --types.'),
  NOTHING_SELECTED: check(
    400,
    '{pattern} matches no table of the source.',
    'Check the name (case and schema count); "opendts inspect" lists the tables.',
  ),
  NO_DEAD_LETTER: usage(404, 'There is no dead letter of {what}.', 'List them: opendts dead-letters list.'),
  DEAD_LETTERS_LEFT: usage(
    409,
    '{count} dead letters are left ({tables}): they would be lost.',
    'Look at them (opendts dead-letters list), replay or drop them; or let them go with --drop-dead-letters (opendts cleanup, opendts task release).',
  ),
  FILTER_INVALID: check(400, 'The filter of {table} cannot be used: {problem}.', '{remedy}'),
  START_UNUSABLE: check(409, 'Replication slot {slot} cannot be begun at: {problem}.', '{remedy}'),
  DECODER_UNUSABLE: check(409, 'Changes cannot be read with {decoder}: {problem}.', '{remedy}'),
  RIGHTS_MISSING: check(403, 'User "{user}" may not {action} on the {side}.', '{remedy}'),
  CHECKS_FAILED: check(409, 'The migration cannot start: {problems}', '{remedy}'),
  // Data
  SLOT_LOST: data(
    410,
    'Replication slot {slot} is {state}: changes since {lsn} can no longer be read.',
    '{why}Nothing was skipped in silence. Run "opendts verify" to see what differs, then "opendts cleanup" and migrate again.',
  ),
  TIMELINE_LEFT: data(
    409,
    'The source is on timeline {to}, which left timeline {from} at {left}, before the recorded position {recorded}: it has lost changes that the target has.',
    'Run "opendts verify" to see what differs: rows that only the target has may be the lost ones. Then "opendts cleanup" and migrate again. On PostgreSQL 17 and newer synchronized_standby_slots keeps this from happening (docs/failover.md).',
  ),
  PROGRESS_AHEAD: data(
    409,
    'The slot has confirmed {confirmed}, but the target has recorded only {recorded}: changes between them are gone.',
    'Somebody else read from slot {slot}. Run "opendts cleanup" and migrate again.',
  ),
  COPY_COUNT_DIFFERS: data(
    500,
    'Copy of {table}: {sent} rows left the source, {received} arrived.',
    'The rows were not committed. Run again; report it if it happens twice.',
  ),
  COPY_FAILED: data(
    409,
    'Copy of {table} failed on the {side}: {problem} (SQLSTATE {sqlstate}).',
    'Nothing of that table was kept. Remove the cause and run again.',
  ),
  ROW_REFUSED: data(
    409,
    'Copy of {table} failed on the {side} at the row {row}: {problem} (SQLSTATE {sqlstate}).',
    'Nothing of that part of the table was kept. Correct or remove the row, or leave the table out with --exclude-table, and run again.',
  ),
  TABLE_CHANGED: data(
    409,
    'The columns of {table} were changed on the source since this run began (or the table was dropped).',
    'Nothing of it was copied in the new form. Make the same change on the target, or leave the table out with --exclude-table, and run again.',
  ),
  TABLE_REWRITTEN: data.later(
    409,
    'Table {table} was rewritten on the source after the snapshot was taken (ALTER TABLE, TRUNCATE or VACUUM FULL).',
    'Run again: it is copied under a new snapshot.',
  ),
  ...SCHEMA_ERRORS,
  ...TABLE_ERRORS,
  APPLY_FAILED: data(
    409,
    'A change cannot be applied to {table} (key {key}): {problem} (SQLSTATE {sqlstate}).',
    'Remove the cause on the target and run again; the change waits in the slot. Statement: {sql}',
  ),
  ROW_MISSING: data(
    409,
    'An {operation} of {table} (key {key}) met {found} rows on the target instead of 1.',
    'Somebody else writes to the target. Run "opendts verify", repair it, and run again.',
  ),
  LETTER_OVERTAKEN: data(
    409,
    'The {operation} of {table} (key {key}) is not applied any more: {problem}.',
    'Where the target lacks what the source has, correct the row by hand; then drop the letter (opendts dead-letters drop --id).',
  ),
  LETTER_UNUSABLE: data(
    409,
    'Dead letter {id} of {table} cannot be replayed: {problem}.',
    'Apply it by hand (opendts dead-letters list --show-values) and drop it.',
  ),
  FILTER_FAILED: data(
    409,
    'The filter of {table} cannot be evaluated for a change: {problem}.',
    'The condition must work for every value. Have the table copied again without that change: opendts tables --recopy {table}; or leave it out.',
  ),
  DDL_SEEN: data(
    409,
    'Table {table} was changed on the source: {difference}. Statement: {statement}',
    'Have opendts make the same change on the target (opendts tables --apply), make it there and let the table go on (--retry), have it copied again (--recopy), or go on with the target table as it is (--as-is).',
  ),
  DDL_NOT_APPLIED: data(
    409,
    'The change of table {table} on the source cannot be repeated on the target: {problem}.',
    'Make it on the target by hand and let the table go on (opendts tables --retry), have it copied again once the target has the columns (--recopy), or go on with the target table as it is (--as-is).',
  ),
  TRUNCATE_SHARED: data(
    409,
    'A TRUNCATE of {table} cannot be applied: {target} holds the rows of other tables too, and which are whose is not known there.',
    'Have them copied again together: opendts tables --recopy {table}. To empty one of tables that go into one, use DELETE.',
  ),
  RELATION_CHANGED: data(
    409,
    'Table {table} changed on the source while changes are followed: {difference}.',
    'Have opendts make the same change on the target (opendts tables --apply), make it there and let the table go on (--retry), or go on with the target table as it is (--as-is).',
  ),
  COLUMN_GONE: data(
    409,
    'The target has no column "{column}" of {table} any more, but changes from before it was dropped on the source still carry it.',
    'Add it again on the target and run until the table stops at the change of the source; then drop it and go on.',
  ),
  RELATION_STALE: data.later(
    409,
    'Tables were renamed or altered on the source: what they are is read again.',
    'Run the same command again: it continues where it was.',
  ),
  // Comparison
  DIFFERENCES: differences(409, '{count} of {tables} tables differ.', 'See the list above.'),
  SEQUENCES_BEHIND: differences(
    409,
    'On the target, sequences would give out numbers again: {names}.',
    'Set them on the target with setval() to the values of the source.',
  ),
  // Time
  SLOT_BLOCKED: timeout.later(
    409,
    'The replication slot could not be created in {seconds} s: the source waits for {blockers}.',
    'End those transactions (precheck: opendts check shows how), or wait longer with --slot-wait, and run again. No slot was left behind.',
  ),
  TABLE_BUSY: timeout.later(
    409,
    '{table} of the source could not be locked in {seconds} s of trying for a moment at a time: {holders}.',
    'End those transactions, or run again at a calmer time.',
  ),
  SOURCE_PROTECTED: timeout(409, 'The copy was ended to spare the source: {limit}. {done}', '{remedy}'),
  TIMED_OUT: timeout.later(504, '{what} was not reached in {seconds} s.', '{remedy}'),
  ...SERVICE_ERRORS,
  ...TASK_ERRORS,
  // Defects
  STREAM_BROKEN: unexpected(
    500,
    'The change stream does not make sense: {problem}.',
    'Nothing was applied from it. Report this with the versions of both servers.',
  ),
  LEDGER_BROKEN: unexpected(
    500,
    'Accounts of {table} do not balance: {received} changes received, {accounted} accounted for.',
    'Nothing more was applied. Report this.',
  ),
  FENCED: unexpected(
    409,
    'Another opendts took this migration over (fence {theirs}, ours {ours}).',
    'Let the other one run.',
  ),
  EMBEDDED_FAILED: unexpected(500, 'The embedded PostgreSQL did not {step}: {problem}.', 'Its log is {log}.'),
  UNEXPECTED: unexpected(500, '{problem}', 'This is a defect of opendts. Please report it.'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
