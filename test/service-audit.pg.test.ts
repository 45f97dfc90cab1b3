/** The audit log written out while nodes come and go, and what is deleted of it. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openLog } from '../src/base/runtime/log.ts';
import { fileSink, type AuditSink } from '../src/service/audit/sink.ts';
import { writeOut } from '../src/service/audit/write-out.ts';
import { openNode } from '../src/service/node.ts';
import { insertAudit } from '../src/service/store/audit/insert-audit.ts';
import { listAudit } from '../src/service/store/audit/list-audit.ts';
import { pruneAudit } from '../src/service/store/audit/prune-audit.ts';
import { migrate } from '../src/service/store/migrate.ts';
import { Store } from '../src/service/store/store.ts';
import { auditEntry } from './audit-entry.ts';
import { freshDatabase } from './database.ts';

async function openStore() {
  const db = await freshDatabase(12);
  const store = Store.at(db.uri);
  await migrate(store);
  return {
    db,
    store,
    operations: async () =>
      (await listAudit(store, { groupId: null, from: null, to: null }, { after: null, limit: 100 }))
        .map(({ operation }) => operation)
        .toReversed(),
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
}

function file() {
  const folder = mkdtempSync(join(tmpdir(), 'opendts-audit-'));
  const path = join(folder, 'audit.jsonl');
  const read = (of = path) =>
    readFileSync(of, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { operation: string }).operation);
  return { path, read, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

describe('the audit log', () => {
  it('is written out after each commit, once, by nodes that come and go, also what commits behind a later number', async () => {
    await using at = await openStore();
    using out = file();
    const silent = openLog({ level: 'error', stream: { write: () => {} } });
    await insertAudit(at.store, auditEntry('before'));
    const late = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const slow = at.store.transaction(async (tx) => {
      await insertAudit(tx, auditEntry('late'));
      began.resolve();
      await late.promise;
    });
    await began.promise;
    await insertAudit(at.store, auditEntry('early'));
    {
      await using _first = writeOut(at.store, fileSink(out.path), silent);
      await using _second = writeOut(at.store, fileSink(out.path), silent);
    }
    expect(out.read()).toEqual(['before', 'early']);
    const moved = `${out.path}.1`;
    renameSync(out.path, moved);
    late.resolve();
    await slow;
    await insertAudit(at.store, auditEntry('last'));
    // What a crash in the middle of a line leaves.
    appendFileSync(out.path, '"torn');
    {
      await using _third = writeOut(at.store, fileSink(out.path), silent);
    }
    expect(readFileSync(out.path, 'utf8').split('\n')[0]).toBe('"torn');
    expect(out.read(moved)).toEqual(['before', 'early']);
    const [, ...whole] = readFileSync(out.path, 'utf8').trimEnd().split('\n');
    expect(whole.map((line) => (JSON.parse(line) as { operation: string }).operation)).toEqual([
      'late',
      'last',
    ]);
  });

  it('waits in the store where it cannot be written, and says so once', async () => {
    await using at = await openStore();
    let said = '';
    const log = openLog({ level: 'info', stream: { write: (line) => void (said += line) } });
    const written: string[] = [];
    const full = { is: true };
    const sink: AuditSink = {
      write: async (lines) => {
        if (full.is) throw Object.assign(new Error('ENOSPC: MARKER'), { code: 'ENOSPC' });
        written.push(lines);
      },
    };
    await insertAudit(at.store, auditEntry('x'));
    await using _running = writeOut(at.store, sink, log);
    await expect.poll(() => said, { timeout: 20_000 }).toContain('"errno":"ENOSPC"');
    full.is = false;
    await expect.poll(() => written.join(''), { timeout: 20_000 }).toContain('"operation":"x"');
    expect(said.trim().split('\n')).toHaveLength(1);
    expect(said).not.toContain('MARKER');
  });

  it('gives up entries older than 400 days, and only together with an entry that says so', async () => {
    await using at = await openStore();
    const { session } = at.db;
    await insertAudit(at.store, auditEntry('new'));
    // As they would be by then: nothing changes an entry, but nothing keeps one from being made.
    const copy = (days: string) =>
      session.query(
        `INSERT INTO opendts.audit (at, via, address, request_id, operation, outcome) SELECT now() - interval '${days} days', 'v', 'a', 'r', '${days} days old', 'done'`,
      );
    for (const days of ['800', '401', '399']) await copy(days);
    const forged = (before: string) =>
      `INSERT INTO opendts.audit (via, address, request_id, operation, outcome, after) VALUES ('v', 'a', 'r', 'audit.prune', 'done', jsonb_build_object('before', ${before}))`;
    const refused = [
      "DELETE FROM opendts.audit WHERE at < now() - interval '700 days'",
      'DELETE FROM opendts.audit',
      // More than it says.
      `${forged("now() - interval '500 days'")}; DELETE FROM opendts.audit WHERE at < now() - interval '400 days'`,
      // Younger than may be.
      `${forged('now()')}; DELETE FROM opendts.audit WHERE at < now() - interval '398 days'`,
      `SET LOCAL session_replication_role = replica; DELETE FROM opendts.audit WHERE at < now() - interval '700 days'`,
      "UPDATE opendts.audit SET at = now() - interval '800 days'",
    ];
    for (const sql of refused) await expect(session.query(sql)).rejects.toThrow('append-only');
    // An entry of another transaction allows nothing.
    await session.query(forged("now() - interval '500 days'"));
    await expect(session.query(refused[0]!)).rejects.toThrow('append-only');
    await expect(pruneAudit(at.store, 398, 10)).rejects.toThrow('append-only');
    const all = ['new', '800 days old', '401 days old', '399 days old', 'audit.prune'];
    expect(await at.operations()).toEqual(all);
    const pieces = [];
    for (let piece = 0; piece < 3; piece++) pieces.push(await pruneAudit(at.store, 400, 1));
    expect(pieces).toEqual([1, 1, 0]);
    expect(await at.operations()).toEqual([
      ...all.filter((one) => !/^(800|401) days/.test(one)),
      'audit.prune',
      'audit.prune',
    ]);
  });

  it('is pruned by a node by itself, as is what it keeps of tasks and sessions', async () => {
    await using at = await openStore();
    const [id, session] = [randomUUID(), at.db.session];
    await session.query(`
      INSERT INTO opendts.audit (at, via, address, request_id, operation, outcome)
        SELECT now() - days * interval '1 day', 'v', 'a', 'r', days || ' days old', 'done' FROM unnest(ARRAY[401, 399]) AS days;
      INSERT INTO opendts.account (id, name, must_change_password, is_administrator) VALUES ('${id}', 'ada', false, true);
      INSERT INTO opendts.login_session VALUES ('over', '${id}', now(), now()), ('good', '${id}', now(), now() + interval '1 hour');
      INSERT INTO opendts.api_token (id, account_id, name, prefix, token_hash, expires_at, revoked_at)
        SELECT gen.id::uuid, '${id}', gen.name, 'p', gen.name, now() + gen.ends * interval '1 day', now() + gen.revoked * interval '1 day'
          FROM (VALUES ('${randomUUID()}', 'over', -31, NULL), ('${randomUUID()}', 'revoked', 9, -31), ('${randomUUID()}', 'shown', 9, -29), ('${randomUUID()}', 'good', 9, NULL)) AS gen(id, name, ends, revoked);
      INSERT INTO opendts.resource_group (id, name) VALUES ('${id}', 'g');
      INSERT INTO opendts.task (id, group_id, name, spec, class, desired, state, retry_connect_minutes, retry_other_minutes)
        VALUES ('${id}', '${id}', 't', '{}', 'small', 'idle', 'not-started', 60, 10);
      INSERT INTO opendts.task_series SELECT '${id}', now() - days * interval '1 day', 0, 0, 0, 0, 0 FROM unnest(ARRAY[31, 29]) AS days`);
    await using _node = await openNode({
      databaseUrl: at.db.uri,
      dataDir: '/nowhere',
      key: { text: Buffer.alloc(32, 1).toString('base64') },
      secretDir: null,
      certificateDir: null,
      networks: [],
      env: {},
      log: openLog({ level: 'error', stream: { write: () => true } }),
      auditSink: null,
      auditRetentionDays: 400,
    });
    await expect.poll(at.operations, { timeout: 10_000 }).toEqual(['399 days old', 'audit.prune']);
    const [left] = await session.query(
      `SELECT (SELECT count(*) FROM opendts.task_series) AS minutes, (SELECT string_agg(token_hash, ',') FROM opendts.login_session) AS sessions,
              (SELECT string_agg(name, ',' ORDER BY name) FROM opendts.api_token) AS tokens`,
    );
    expect(left).toEqual({ minutes: '1', sessions: 'good', tokens: 'good,shown' });
  });
});
