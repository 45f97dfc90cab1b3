/** One COPY from server to server: every byte arrives wherever the network cuts, and a failure on either side leaves nothing. */
import { createServer, connect as connectSocket, type AddressInfo, type Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { sleep } from '../../../base/runtime/sleep.ts';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { connect } from '../connect.ts';
import type { Session } from '../session.ts';
import type { CopyAmount, CopyPace } from './copy-pace.ts';
import { CopyError, relayCopy, type CopyResult, type CopyStatements } from './copy-relay.ts';

const NEVER = new AbortController().signal;
const TEXT = { out: 'COPY public.t TO STDOUT', in: 'COPY public.t FROM STDIN' };
const BINARY = {
  out: 'COPY public.t TO STDOUT (FORMAT binary)',
  in: 'COPY public.t FROM STDIN (FORMAT binary)',
};
/** In the select list the series is not gathered before its first row is sent. */
const ENDLESS = "COPY (SELECT generate_series(1, 100000000), repeat('x', 100)) TO STDOUT";

/** Rows of 0 bytes, 1 byte, 70 KB and 5 MB, NULLs and what COPY's text form must escape. */
const FILL = `CREATE TABLE public.t (id int, v text, b bytea);
  INSERT INTO public.t SELECT i, CASE i % 7 WHEN 0 THEN '' WHEN 1 THEN 'x' WHEN 2 THEN NULL WHEN 3 THEN E'tab\\t line\\n back\\\\slash \\\\N \\\\.' ELSE repeat('grüß ', i % 50) END,
         CASE i % 3 WHEN 0 THEN '\\x'::bytea WHEN 1 THEN '\\x0064000000000500'::bytea END FROM generate_series(1, 2000) i;
  INSERT INTO public.t VALUES (3000, repeat('k', 70000), NULL), (3001, repeat('ü', 2500000), NULL), (3002, NULL, decode(repeat('64', 5000000), 'hex'));
  INSERT INTO public.t SELECT i, repeat('z', 70000), NULL FROM generate_series(3003, 3040) i`;
const CONTENT = `SELECT count(*)::text AS rows, md5(string_agg(md5(id::text || coalesce(md5(v), '-') || coalesce(md5(b), '-')), '' ORDER BY id)) AS digest FROM public.t`;

async function relay(
  from: Session,
  to: Session,
  statements: Omit<CopyStatements, 'onPass'>,
  signal: AbortSignal = NEVER,
): Promise<CopyResult & { told: number }> {
  let told = 0;
  const result = await relayCopy(from, to, { ...statements, onPass: (bytes) => (told += bytes) }, signal);
  return { ...result, told };
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
}

/** The backend of a session that was cut needs a moment to notice. */
async function rowsLeft(db: TestDatabase, gone: Session): Promise<string | null | undefined> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const rows = await db.session.query('SELECT FROM pg_stat_activity WHERE pid = $1', [String(gone.pid)]);
    if (rows.length === 0) return (await db.session.one('SELECT count(*)::text AS n FROM public.t')).n;
    await sleep(50);
  }
  throw new Error('the session of the target did not end');
}

/** Lets this much through at once, then lets the copy stand still for `ms`; for Infinity until it is cut. */
function haltingPace(grain: CopyAmount, ms: number) {
  const seen = { rows: 0, bytes: 0, most: 0, pauses: 0, cancelled: 0 };
  const pace: CopyPace = {
    grain,
    spend: ({ rows, bytes }, goOn) => {
      seen.rows += rows;
      seen.bytes += bytes;
      seen.most = Math.max(seen.most, bytes);
      seen.pauses++;
      if (ms === 0) setImmediate(goOn);
      else if (ms < Infinity) setTimeout(goOn, ms);
      return { cancel: () => seen.cancelled++ };
    },
  };
  return { pace, seen };
}

/** A proxy that cuts what the server sends into pieces of these sizes, in turn. */
async function cuttingProxy(db: TestDatabase, sizes: readonly number[]): Promise<Server & { port: number }> {
  const host = db.info.hosts[0];
  if (!host) throw new Error('no host');
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connectSocket(host.port, host.host);
    client.pipe(upstream);
    const forward = async () => {
      let turnNo = 0;
      for await (const chunk of upstream as AsyncIterable<Buffer>) {
        for (let at = 0; at < chunk.length;) {
          const size = sizes[turnNo++ % sizes.length] ?? 1;
          client.write(chunk.subarray(at, at + size));
          at += size;
          // Two turns of the loop, so that the other end of the socket reads this piece before the next one is there.
          await turn();
          await turn();
        }
      }
      client.end();
    };
    forward().catch(() => client.destroy());
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

describe.each([
  [12, 18],
  [18, 12],
  [15, 17],
] as const)('a COPY from PostgreSQL %i to %i', (sourceMajor, targetMajor) => {
  it.each([
    ['text', TEXT],
    ['binary', BINARY],
  ])('carries rows of any size, in %s', async (_, statements) => {
    await using source = await freshDatabase(sourceMajor);
    await using target = await freshDatabase(targetMajor);
    await source.session.query(FILL);
    await target.session.query('CREATE TABLE public.t (id int, v text, b bytea)');
    await using from = await source.open();
    await using to = await target.open();
    const result = await relay(from, to, statements);
    expect(result).toMatchObject({ rowsOut: 2041, rowsIn: 2041 });
    expect(await target.session.one(CONTENT)).toEqual(await source.session.one(CONTENT));
    expect(result.bytes).toBeGreaterThan(12_000_000);
    // Told with the five bytes of each message's head.
    expect(result.told).toBeGreaterThanOrEqual(result.bytes + 5 * 2041);
    // Both sessions are as good as before.
    expect(await from.one('SELECT 1 AS one')).toEqual({ one: '1' });
    expect(await to.one('SELECT 2 AS two')).toEqual({ two: '2' });
    expect(await relay(from, to, statements)).toMatchObject({ rowsOut: 2041, rowsIn: 2041 });
    // The same, standing still after every few rows.
    await target.session.query('TRUNCATE public.t');
    const { pace, seen } = haltingPace({ rows: 7, bytes: 10_000 }, 0);
    const paced = await relay(from, to, { ...statements, pace });
    expect(await target.session.one(CONTENT)).toEqual(await source.session.one(CONTENT));
    expect(seen).toMatchObject({ rows: 2041, bytes: paced.told, most: 10_000 });
    expect(seen.pauses).toBeGreaterThan(2041 / 7 + 1_200);
  });
});

describe('a COPY whose rows are looked at', () => {
  it('arrives as it left when nothing is changed, and without the rows that the transform leaves out', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(15);
    await source.session.query(FILL);
    await target.session.query('CREATE TABLE public.t (id int, v text, b bytea)');
    await using from = await source.open();
    await using to = await target.open();
    const all = await relay(from, to, { ...TEXT, transform: (row) => row });
    expect(all).toMatchObject({ rowsOut: 2041, rowsIn: 2041, leftOut: 0 });
    expect(await target.session.one(CONTENT)).toEqual(await source.session.one(CONTENT));
    await target.session.query('TRUNCATE public.t');
    const some = await relay(from, to, {
      ...TEXT,
      transform: (row) => (Number(row[0]) % 2 === 0 ? [row[0] ?? null, null, row[2] ?? null] : null),
    });
    expect(some).toMatchObject({ rowsOut: 2041, rowsIn: 1021, leftOut: 1020 });
    expect(
      await target.session.one(
        'SELECT count(*)::text AS n, count(v)::text AS v FROM public.t WHERE id % 2 = 0',
      ),
    ).toEqual({ n: '1021', v: '0' });
  });
});

describe('a COPY', () => {
  it.each([[[1]], [[2, 3]], [[5]], [[4, 1, 9]], [[6, 1, 1, 30]], [[64, 3]]])(
    'carries every byte when the network cuts after %j bytes',
    async (sizes) => {
      await using source = await freshDatabase(18);
      await using target = await freshDatabase(18);
      const create = 'CREATE TABLE public.t (id int, v text, b bytea)';
      await source.session.query(
        `${create}; INSERT INTO public.t SELECT i, repeat('d', i % 40), CASE i % 2 WHEN 0 THEN '\\x64'::bytea END FROM generate_series(1, 120) i`,
      );
      await target.session.query(create);
      const proxy = await cuttingProxy(source, sizes);
      try {
        const hosts = [{ ...source.info.hosts[0]!, host: '127.0.0.1', port: proxy.port }];
        await using from = await connect(
          { ...source.info, hosts },
          { side: 'source', applicationName: 'test' },
        );
        await using to = await target.open();
        for (const statements of [TEXT, BINARY]) {
          await target.session.query('TRUNCATE public.t');
          expect(await relay(from, to, statements)).toMatchObject({ rowsOut: 120, rowsIn: 120 });
          expect(await target.session.one(CONTENT)).toEqual(await source.session.one(CONTENT));
          for (const grain of [
            { rows: 1, bytes: Infinity },
            { rows: Infinity, bytes: 3 },
          ]) {
            await target.session.query('TRUNCATE public.t');
            const { pace, seen } = haltingPace(grain, 0);
            expect(await relay(from, to, { ...statements, pace })).toMatchObject({ rowsIn: 120 });
            expect(await target.session.one(CONTENT)).toEqual(await source.session.one(CONTENT));
            expect(seen.rows).toBe(120);
          }
        }
        expect(await from.one('SELECT 1 AS one')).toEqual({ one: '1' });
      } finally {
        proxy.close();
      }
    },
  );

  it('counts the same bytes wherever the network cuts', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await source.session.query(
      `CREATE TABLE public.t (v text); INSERT INTO public.t SELECT repeat('d', i) FROM generate_series(0, 99) i`,
    );
    await target.session.query('CREATE TABLE public.t (v text)');
    const proxy = await cuttingProxy(source, [3, 1, 7]);
    try {
      const hosts = [{ ...source.info.hosts[0]!, host: '127.0.0.1', port: proxy.port }];
      await using cut = await connect({ ...source.info, hosts }, { side: 'source', applicationName: 'test' });
      await using direct = await source.open();
      await using to = await target.open();
      const wanted = 100 + (99 * 100) / 2;
      expect(await relay(cut, to, TEXT)).toMatchObject({ bytes: wanted, told: wanted + 5 * 100 });
      expect(await relay(direct, to, TEXT)).toMatchObject({ bytes: wanted, told: wanted + 5 * 100 });
    } finally {
      proxy.close();
    }
  });

  it('carries a table without rows and one without columns', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    for (const db of [source, target])
      await db.session.query('CREATE TABLE public.t (id int); CREATE TABLE public.n ()');
    await source.session.query('INSERT INTO public.n DEFAULT VALUES; INSERT INTO public.n DEFAULT VALUES');
    await using from = await source.open();
    await using to = await target.open();
    expect(await relay(from, to, TEXT)).toMatchObject({ rowsOut: 0, rowsIn: 0, bytes: 0 });
    const none = { out: 'COPY public.n TO STDOUT', in: 'COPY public.n FROM STDIN' };
    expect(await relay(from, to, none)).toMatchObject({ rowsOut: 2, rowsIn: 2 });
  });

  it.each([
    ['at once', 'COPY public.missing TO STDOUT', '42P01'],
    ['in its middle', 'COPY (SELECT i, 1 / (50000 - i) FROM generate_series(1, 60000) i) TO STDOUT', '22012'],
  ])('that fails on the source %s leaves nothing in the target and says so', async (_, out, sqlstate) => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await target.session.query('CREATE TABLE public.t (a int, b int)');
    await using from = await source.open();
    await using to = await target.open();
    const thrown = await failure(relay(from, to, { out, in: TEXT.in }));
    expect(thrown).toBeInstanceOf(CopyError);
    expect(thrown).toMatchObject({ side: 'source', sqlstate });
    expect(await rowsLeft(target, to)).toBe('0');
    expect([from.isEnded, to.isEnded]).toEqual([true, true]);
  });

  it.each([
    ['at once', 'COPY public.missing FROM STDIN', '42P01'],
    ['in its middle', 'COPY public.t FROM STDIN', '23514'],
  ])('that fails on the target %s leaves nothing in the target and says so', async (_, into, sqlstate) => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await target.session.query('CREATE TABLE public.t (a int CHECK (a <> 50000), b text)');
    await using from = await source.open();
    await using to = await target.open();
    const out = "COPY (SELECT i, repeat('x', 100) FROM generate_series(1, 400000) i) TO STDOUT";
    const thrown = await failure(relay(from, to, { out, in: into }));
    expect(thrown).toBeInstanceOf(CopyError);
    expect(thrown).toMatchObject({ side: 'target', sqlstate });
    expect(await rowsLeft(target, to)).toBe('0');
  });

  it.each(['source', 'target'] as const)(
    'whose %s backend is killed leaves nothing in the target and names that side',
    async (side) => {
      await using source = await freshDatabase(18);
      await using target = await freshDatabase(18);
      await target.session.query('CREATE TABLE public.t (a int, b text)');
      await using from = await source.open();
      await using to = await target.open();
      const copy = failure(relay(from, to, { out: ENDLESS, in: TEXT.in }));
      await sleep(300);
      const victim = side === 'source' ? { db: source, pid: from.pid } : { db: target, pid: to.pid };
      await victim.db.session.query('SELECT pg_terminate_backend($1::int)', [String(victim.pid)]);
      const thrown = await copy;
      expect(thrown).toBeInstanceOf(CopyError);
      expect(thrown).toMatchObject({ side });
      expect(await rowsLeft(target, to)).toBe('0');
    },
  );

  it('stops when the signal aborts, leaves nothing, and throws the reason', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await target.session.query('CREATE TABLE public.t (a int, b text)');
    await using from = await source.open();
    await using to = await target.open();
    const stop = new AbortController();
    const copy = failure(relay(from, to, { out: ENDLESS, in: TEXT.in }, stop.signal));
    await sleep(300);
    const reason = new Error('enough');
    stop.abort(reason);
    expect(await copy).toBe(reason);
    expect(await rowsLeft(target, to)).toBe('0');
  });

  it('does not begin when the signal has aborted before, and leaves the sessions usable', async () => {
    await using source = await freshDatabase(18);
    await using from = await source.open();
    await using to = await source.open();
    const reason = new Error('before');
    expect(await failure(relay(from, to, TEXT, AbortSignal.abort(reason)))).toBe(reason);
    expect(await to.one('SELECT 1 AS one')).toEqual({ one: '1' });
  });

  it('standing still waits for its pace and for nothing else', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await target.session.query('CREATE TABLE public.t (a int)');
    await using from = await source.open();
    await using to = await target.open();
    const out = 'COPY (SELECT i FROM generate_series(1, 50) i) TO STDOUT';
    const { pace, seen } = haltingPace({ rows: 10, bytes: Infinity }, 100);
    const started = performance.now();
    expect(await relay(from, to, { out, in: TEXT.in, pace })).toMatchObject({ rowsIn: 50 });
    expect(performance.now() - started).toBeGreaterThan(5 * 99);
    expect(seen).toMatchObject({ pauses: 5, cancelled: 0 });
  });

  it.each(['the signal aborts', 'the target ends'])(
    'standing still ends at once when %s, and its pause with it',
    async (what) => {
      await using source = await freshDatabase(18);
      await using target = await freshDatabase(18);
      await target.session.query('CREATE TABLE public.t (a int, b text)');
      await using from = await source.open();
      await using to = await target.open();
      const { pace, seen } = haltingPace({ rows: Infinity, bytes: Infinity }, Infinity);
      const stop = new AbortController();
      const copy = failure(relay(from, to, { out: ENDLESS, in: TEXT.in, pace }, stop.signal));
      while (seen.pauses === 0) await sleep(10);
      const reason = new Error('enough');
      if (what === 'the signal aborts') stop.abort(reason);
      else await target.session.query('SELECT pg_terminate_backend($1::int)', [String(to.pid)]);
      if (what === 'the signal aborts') expect(await copy).toBe(reason);
      else expect(await copy).toMatchObject({ name: 'CopyError', side: 'target' });
      expect(seen).toMatchObject({ pauses: 1, cancelled: 1 });
      expect(await rowsLeft(target, to)).toBe('0');
    },
  );

  it('waits for a slow target instead of holding the rows in memory', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await target.session.query(
      `CREATE TABLE public.t (v text);
       CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN NEW; END';
       CREATE TRIGGER wait BEFORE INSERT ON public.t FOR EACH ROW WHEN (NEW.v = 'first') EXECUTE FUNCTION public.wait()`,
    );
    await using from = await source.open();
    await using to = await target.open();
    const out = `COPY (SELECT CASE i WHEN 1 THEN 'first' ELSE repeat('x', 20000) END FROM generate_series(1, 15000) i) TO STDOUT`;
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers)), 5);
    const result = await relay(from, to, { out, in: TEXT.in });
    clearInterval(timer);
    expect(result).toMatchObject({ rowsIn: 15_000 });
    expect(result.bytes).toBeGreaterThan(299_000_000);
    // What passed through and is not collected yet counts too.
    expect(most - before).toBeLessThan(100_000_000);
  });
});
