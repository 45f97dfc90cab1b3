/** What the books keep of the steps of a schema. */
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { connect } from '../../pg/connect.ts';
import type { Session } from '../../pg/session.ts';
import { ensureBookkeeping } from './bookkeeping.ts';
import {
  chooseForStep,
  noteSteps,
  planSteps,
  readDoneSteps,
  readNotMigrated,
  readSteps,
  recordSteps,
  writeNotMigrated,
  type StepChoice,
} from './schema-steps.ts';
import { registerTask } from './task-row.ts';

const TASK = { taskId: 't', fence: 0n };

async function openBooks(db: TestDatabase): Promise<Session> {
  const session = await db.open();
  await ensureBookkeeping(session);
  const source = { sourceSystem: '1', sourceDatabase: 'd', options: '{}' };
  await registerTask(session, { ...source, taskId: 't', phase: 'schema' }, []);
  return session;
}

const step = (id: string, ...statements: string[]) => ({ id, phase: 'pre-data', statements });
const refused = { message: 'no', sqlstate: '42704', position: 7, statement: 'CREATE 1', waitsFor: [] };

async function statesOf(session: Session): Promise<Record<string, string>> {
  return Object.fromEntries(
    [...(await readSteps(session, 't', { which: 'all' }))].map(([id, { state }]) => [id, state]),
  );
}

describe('the books of a schema', () => {
  it('have the plan, then what became of each step; what is there is not planned or refused again', async () => {
    await using db = await freshDatabase(12);
    await using session = await openBooks(db);
    await planSteps(session, TASK, [step('a', 'CREATE 1'), step('b', 'CREATE 2'), step('c')]);
    await session.transaction(() => recordSteps(session, TASK, [step('a', 'CREATE 1')]));
    await noteSteps(session, TASK, [
      { ...step('a'), state: 'failed', problem: refused },
      { ...step('b', 'CREATE 2'), state: 'failed', problem: refused },
      { ...step('c'), state: 'exists-identical', problem: null },
    ]);
    await planSteps(session, TASK, [step('a', 'CREATE other'), step('b', 'CREATE other'), step('d')]);
    expect(await statesOf(session)).toEqual({
      a: 'created',
      b: 'failed',
      c: 'exists-identical',
      d: 'planned',
    });
    expect(await readDoneSteps(session, 't')).toEqual(new Set(['a', 'c']));
    const rows = await readSteps(session, 't', { which: 'all', withSql: true });
    expect(rows.get('b')).toEqual({
      ...step('b', 'CREATE 2'),
      state: 'failed',
      problem: refused,
      edited: null,
    });
    await session.transaction(() => recordSteps(session, TASK, [step('b', 'CREATE 3')]));
    expect((await readSteps(session, 't', { which: 'all', withSql: true })).get('b')).toMatchObject({
      state: 'created',
      problem: null,
      statements: ['CREATE 3'],
    });
  });

  it('keep a choice against a run that has tried the step meanwhile, and let nobody choose for what is there', async () => {
    await using db = await freshDatabase(18);
    await using session = await openBooks(db);
    await planSteps(session, TASK, [step('a'), step('b')]);
    const choose = (id: string, choice: StepChoice) => chooseForStep(session, 't', { id, choice });
    expect(await choose('a', { kind: 'undo-skip' })).toBe(false);
    expect(await choose('a', { kind: 'skip' })).toBe(true);
    await noteSteps(session, TASK, [{ ...step('a'), state: 'failed', problem: refused }]);
    expect((await readSteps(session, 't', { which: 'all' })).get('a')?.state).toBe('skipped');
    expect(await choose('a', { kind: 'edit', sql: 'CREATE mine' })).toBe(true);
    expect((await readSteps(session, 't', { which: 'all' })).get('a')).toMatchObject({
      state: 'planned',
      edited: 'CREATE mine',
    });
    await session.transaction(() => recordSteps(session, TASK, [step('a', 'CREATE mine'), step('b')]));
    for (const choice of [
      { kind: 'skip' },
      { kind: 'edit', sql: 'x' },
      { kind: 'undo-edit' },
      { kind: 'undo-skip' },
    ] as const)
      expect(await choose('a', choice)).toBe(false);
    expect(await choose('nothing', { kind: 'skip' })).toBe(false);
  });

  it('are written only by whoever owns the task', async () => {
    await using db = await freshDatabase(15);
    await using session = await openBooks(db);
    const former = { taskId: 't', fence: 7n };
    await expect(planSteps(session, former, [step('a')])).rejects.toMatchObject({ code: 'FENCED' });
    await expect(noteSteps(session, former, [])).rejects.toMatchObject({ code: 'FENCED' });
    await expect(writeNotMigrated(session, former, [])).rejects.toMatchObject({ code: 'FENCED' });
    expect(await readNotMigrated(session, 't')).toEqual([]);
  });

  it('hold statements that the encoding of the target cannot', async () => {
    await using db = await freshDatabase(12);
    const name = `${db.name}_latin`;
    await db.session.query(
      `CREATE DATABASE ${name} ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    try {
      await using session = await connect(
        { ...db.info, database: name },
        { side: 'target', applicationName: 'test' },
      );
      await ensureBookkeeping(session);
      const source = { sourceSystem: '1', sourceDatabase: 'd', options: '{}' };
      await registerTask(session, { ...source, taskId: 't', phase: 'schema' }, []);
      await planSteps(session, TASK, [step('é', "COMMENT ON TABLE t IS '木 𝄞'")]);
      await writeNotMigrated(session, TASK, ['a: 木']);
      expect((await readSteps(session, 't', { which: 'all', withSql: true })).get('é')?.statements).toEqual([
        "COMMENT ON TABLE t IS '木 𝄞'",
      ]);
      expect(await readNotMigrated(session, 't')).toEqual(['a: 木']);
    } finally {
      await db.session.query(`DROP DATABASE ${name}`);
    }
  });
});
