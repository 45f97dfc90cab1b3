/**
 * Compares the large objects of both ends by oid and content, each end in one read-only snapshot. Both servers hash them in pieces; only
 * hashes leave them. Read with lo_get(), which does not take a superuser.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { BATCH_OBJECTS, PIECE_BYTES } from '../change/large-object.ts';
import { ident } from '../pg/ident.ts';
import { PgError, SQLSTATE } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import type { TableVerdict, VerifyOptions } from './verify.ts';

/** As a table's: their number stands for the rows. */
export type LargeObjectVerdict = TableVerdict & { readonly targetRows: bigint };

/** Pieces that one statement hashes. */
const ROUND_PIECES = 256;

/** Null where neither end has any. Throws RIGHTS_MISSING where one cannot be read, and the signal's reason. */
export async function verifyLargeObjects(
  options: Pick<VerifyOptions, 'openSource' | 'openTarget' | 'signal'>,
): Promise<LargeObjectVerdict | null> {
  await using source = await options.openSource();
  await using target = await options.openTarget();
  const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
  for (const session of [source, target]) await session.query(begin);
  const comparison = new Comparison(source, target);
  for (let after = '0'; ;) {
    options.signal.throwIfAborted();
    const last = await comparison.page(after, options.signal);
    if (last === null) break;
    after = last;
  }
  return comparison.verdict();
}

/** Length and hash of a part of each object, by oid. */
type Hashes = Map<string, { readonly length: bigint; readonly hash: string }>;

class Comparison {
  private readonly source: Session;
  private readonly target: Session;
  private sourceCount = 0n;
  private targetCount = 0n;
  private different = 0;
  /** What is wrong with the first that differs. */
  private reason: string | null = null;

  constructor(source: Session, target: Session) {
    this.source = source;
    this.target = target;
  }

  /** Compares the next objects of either end; returns the last oid, or null when there are none left. */
  async page(after: string, signal: AbortSignal): Promise<string | null> {
    const [here, there] = await both(listFrom(this.source, after), listFrom(this.target, after));
    // A full page knows nothing of what comes behind its last oid.
    const ends = [here, there].flatMap((page) => (page.length < BATCH_OBJECTS ? [] : [Number(page.at(-1))]));
    const last = Math.min(...ends, Math.max(Number(here.at(-1) ?? 0), Number(there.at(-1) ?? 0)));
    if (last === 0) return null;
    const within = (page: readonly string[]) => new Set(page.filter((oid) => Number(oid) <= last));
    const [ours, theirs] = [within(here), within(there)];
    this.sourceCount += BigInt(ours.size);
    this.targetCount += BigInt(theirs.size);
    for (const oid of ours) if (!theirs.has(oid)) this.differs(`large object ${oid} is not on the target`);
    for (const oid of theirs) if (!ours.has(oid)) this.differs(`large object ${oid} is not on the source`);
    const common = [...ours].filter((oid) => theirs.has(oid));
    await this.contents(common, signal);
    return String(last);
  }

  /** In rounds: those that are not at their end, and equal so far, go on. */
  private async contents(oids: readonly string[], signal: AbortSignal): Promise<void> {
    let open = oids;
    for (let from = 0, count = 1; open.length > 0; from += count * PIECE_BYTES) {
      signal.throwIfAborted();
      count = from === 0 ? 1 : Math.max(1, Math.floor(ROUND_PIECES / open.length));
      const part = { oids: open, from, count };
      const [here, there] = await both(hashes(this.source, part), hashes(this.target, part));
      const next: string[] = [];
      for (const oid of open) {
        const [ours, theirs] = [here.get(oid), there.get(oid)];
        if (ours?.hash !== theirs?.hash) this.differs(`the content of large object ${oid} differs`);
        else if (ours?.length === BigInt(count * PIECE_BYTES)) next.push(oid);
      }
      open = next;
    }
  }

  private differs(reason: string): void {
    this.different++;
    this.reason ??= reason;
  }

  verdict(): LargeObjectVerdict | null {
    const { sourceCount, targetCount, different } = this;
    if (sourceCount + targetCount === 0n) return null;
    const more = different > 1 ? `, and ${different - 1} more differ` : '';
    return {
      table: 'large objects',
      verdict: different === 0 ? 'identical' : 'different',
      sourceRows: sourceCount,
      targetRows: targetCount,
      reason: this.reason === null ? null : this.reason + more,
    };
  }
}

async function listFrom(session: Session, after: string): Promise<string[]> {
  const rows = await session.query(
    `SELECT m.oid::text AS oid FROM pg_catalog.pg_largeobject_metadata m
      WHERE m.oid > $1::pg_catalog.oid ORDER BY m.oid LIMIT ${BATCH_OBJECTS}`,
    [after],
  );
  return rows.map(({ oid }) => oid ?? '');
}

interface Part {
  readonly oids: readonly string[];
  readonly from: number;
  readonly count: number;
}

async function hashes(session: Session, { oids, from, count }: Part): Promise<Hashes> {
  const last = from + (count - 1) * PIECE_BYTES;
  try {
    const rows = await session.query(
      `SELECT o.oid::text AS oid, sum(pg_catalog.octet_length(c.piece))::text AS length,
              pg_catalog.md5(pg_catalog.string_agg(pg_catalog.md5(c.piece), '' ORDER BY p.at)) AS hash
         FROM pg_catalog.unnest($1::pg_catalog.oid[]) o(oid),
              pg_catalog.generate_series($2::pg_catalog.int8, $3::pg_catalog.int8, '${PIECE_BYTES}'::pg_catalog.int8) p(at),
              LATERAL (SELECT pg_catalog.lo_get(o.oid, p.at, ${PIECE_BYTES}) AS piece OFFSET 0) c
        GROUP BY o.oid`,
      [`{${oids.join(',')}}`, String(from), String(last)],
    );
    return new Map(
      rows.map((row) => [row.oid ?? '', { length: BigInt(row.length ?? '0'), hash: row.hash ?? '' }]),
    );
  } catch (thrown) {
    if (!(thrown instanceof PgError) || thrown.sqlstate !== SQLSTATE.insufficientPrivilege) throw thrown;
    // `permission denied for large object 16401`, in the server's language.
    const oid = /\d+/.exec(thrown.message)?.[0] ?? '';
    const facts = { user: session.user, action: `read large object ${oid}`, side: session.side };
    const remedy = `As its owner run: GRANT SELECT ON LARGE OBJECT ${oid} TO ${ident(session.user)};   -- or compare as its owner or a superuser`;
    throw new AppError('RIGHTS_MISSING', { ...facts, remedy }, thrown);
  }
}

/** Both results; a failure of one side is thrown only after the other side has ended too. */
async function both<T>(source: Promise<T>, target: Promise<T>): Promise<[T, T]> {
  await Promise.allSettled([source, target]);
  return [await source, await target];
}
