/** Tasks of the service on workers: their whole life, workers that die or freeze, a store that is away, trouble and recovery. */
import { describe, expect, it } from 'vitest';
import { freshDatabase, freshPair } from './database.ts';
import { startFleet } from './fleet.ts';
import { catalog } from './source-catalog.ts';

const TABLES = `
  CREATE SCHEMA shop;
  CREATE TABLE shop.item (id int PRIMARY KEY, name text, price numeric);
  CREATE TABLE shop.sale (id int PRIMARY KEY, item int REFERENCES shop.item, at timestamptz DEFAULT now());
  INSERT INTO shop.item SELECT g, 'item ' || g, g / 3.0 FROM generate_series(1, 1000) g;
  INSERT INTO shop.sale SELECT g, 1 + g % 1000 FROM generate_series(1, 5000) g`;

const count = async (session: { one(sql: string): Promise<Record<string, string | null>> }, table: string) =>
  Number((await session.one(`SELECT count(*)::text AS n FROM ${table}`)).n);

describe('a task of the service', () => {
  it('runs on a worker from its precheck to its release, and leaves the source as it was', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    const { source, target } = pair;
    const before = await catalog(source);
    await using fleet = await startFleet(store);
    const ends = { source: await fleet.connection(source), target: await fleet.connection(target) };
    const id = await fleet.task(ends);
    await fleet.worker();

    await fleet.ask(id, 'precheck');
    expect((await fleet.until(id, 'prechecked', 'precheck-failed')).state).toBe('prechecked');
    await fleet.ask(id, 'start');
    const running = await fleet.until(id, 'running', 'failed');
    expect([running.failure, running.state]).toEqual([null, 'running']);
    expect(await count(target.session, 'shop.sale')).toBe(5000);
    await source.session.query("INSERT INTO shop.item VALUES (2000, 'late', 1)");
    await expect.poll(() => count(target.session, 'shop.item'), { timeout: 20_000 }).toBe(1001);

    await fleet.ask(id, 'pause');
    await fleet.until(id, 'paused');
    await source.session.query("INSERT INTO shop.item VALUES (2001, 'later', 1)");
    await fleet.ask(id, 'resume');
    await fleet.until(id, 'running');
    await expect.poll(() => count(target.session, 'shop.item'), { timeout: 20_000 }).toBe(1002);

    await fleet.ask(id, 'stop');
    await fleet.until(id, 'stopped');
    await fleet.ask(id, 'release');
    expect((await fleet.until(id, 'released', 'release-failed')).state).toBe('released');
    expect(await catalog(source)).toEqual(before);
    const { gone } = await target.session.one("SELECT to_regnamespace('_opendts') IS NULL AS gone");
    expect(gone).toBe('t');
    const kinds = (await fleet.events(id)).map(({ kind }) => kind);
    expect(kinds).toEqual(
      expect.arrayContaining(['precheck-passed', 'began', 'in-step', 'paused', 'released']),
    );
    expect((await fleet.show(id)).workerId).toBeNull();
  }, 180_000);
});
