/**
 * Which output plugin decodes the changes of a slot of ours: pgoutput, through a publication, where the account can have one; else
 * test_decoding, which needs none (decision 12). Once the slot is there, the slot says which it is.
 */
import { AppError } from '../../base/errors/app-error.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import type { Session } from '../pg/session.ts';
import type { Decoder } from '../pg/slot/decoder.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';

export interface DecoderWish {
  readonly wanted: Decoder | 'auto';
  /** The user's own. */
  readonly publication: string | null;
  readonly tables: readonly TableInfo[];
}

export interface DecoderChoice {
  readonly decoder: Decoder;
  readonly why: string;
  /** What keeps the account from making a publication. */
  readonly publishing: PublishingRights;
}

export interface PublishingRights {
  readonly mayCreate: boolean;
  /** Tables that the account does not own, with their owners. */
  readonly foreign: ReadonlyMap<number, string>;
}

export async function chooseDecoder(
  source: Session,
  { wanted, publication, tables }: DecoderWish,
): Promise<DecoderChoice> {
  const publishing = await readPublishingRights(source, tables);
  const choice = (decoder: Decoder, why: string) => ({ decoder, why, publishing });
  if (wanted !== 'auto') return choice(wanted, 'as asked for');
  if (publication !== null) return choice('pgoutput', `through publication ${publication}`);
  if (!publishing.mayCreate)
    return choice('test_decoding', 'the account may not create a publication in the source database');
  const count = publishing.foreign.size;
  if (count > 0)
    return choice(
      'test_decoding',
      `the account does not own ${count === 1 ? 'one selected table' : `${count} selected tables`}, so that it cannot publish them`,
    );
  return choice('pgoutput', 'the account may publish every selected table');
}

async function readPublishingRights(
  source: Session,
  tables: readonly TableInfo[],
): Promise<PublishingRights> {
  const { may } = await source.one(
    "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')::text AS may",
  );
  // Setting REPLICA IDENTITY FULL takes ownership too.
  const rows = await source.query(
    `SELECT c.oid::text AS oid, r.rolname AS owner
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
      WHERE c.oid = ANY ($1::oid[]) AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')`,
    [`{${tables.map(({ oid }) => oid).join(',')}}`],
  );
  return {
    mayCreate: may === 'true',
    foreign: new Map(rows.map(({ oid, owner }) => [Number(oid), owner ?? ''])),
  };
}

const PROBE_MS = 2_000;

/** Why test_decoding cannot serve; null where it can. Makes a temporary slot for a moment, or asks for one. */
export async function testDecodingProblem(source: Session): Promise<string | null> {
  const encoding = await encodingProblem(source);
  if (encoding !== null) return encoding;
  const slot = `dts_probe_${source.pid}`;
  try {
    await source.query(`SET statement_timeout = ${PROBE_MS}`);
    await source.query("SELECT pg_catalog.pg_create_logical_replication_slot($1, 'test_decoding', true)", [
      slot,
    ]);
    await source.query('SELECT pg_catalog.pg_drop_replication_slot($1)', [slot]);
    return null;
  } catch (thrown) {
    // Anything else is the concern of other checks; it may also wait for somebody's transaction.
    if (sqlstateOf(thrown) !== SQLSTATE.undefinedFile) return null;
    return 'the source does not have it';
  } finally {
    await source.query('SET statement_timeout = 0');
  }
}

/** test_decoding writes the database's encoding, and nobody converts it. */
export async function encodingProblem(source: Session): Promise<string | null> {
  const { encoding } = await source.one("SELECT pg_catalog.current_setting('server_encoding') AS encoding");
  return encoding === 'UTF8' || encoding === 'SQL_ASCII'
    ? null
    : `it sends text in the encoding of the database, ${encoding}, and only UTF8 is understood`;
}

export function decoderUnusable(problem: string): AppError {
  return new AppError('DECODER_UNUSABLE', {
    decoder: 'test_decoding',
    problem,
    remedy:
      'Let the owner of the tables make a publication of them and name it with --publication, or give the account their ownership.',
  });
}
