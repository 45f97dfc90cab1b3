import { describe, expect, it } from 'vitest';
import { AppError, toAppError } from '../errors/app-error.ts';
import { Gate, openLog, type LogLevel } from './log.ts';

function lines(level: LogLevel = 'debug') {
  const said: string[] = [];
  const log = openLog({ level, stream: { write: (line) => void said.push(line) } });
  return { log, said: () => said.map((line) => JSON.parse(line) as Record<string, unknown>), raw: said };
}

/** As the driver throws it: a code and a text that quotes. */
const fromServer = Object.assign(new Error('duplicate key value: (MARKER)\n    at MARKER:1:2'), {
  sqlstate: '23505',
  fields: { detail: 'MARKER' },
});

describe('the log', () => {
  it('writes JSON lines with the level as a word, the time, and the fields of its children', () => {
    const { log, said } = lines('info');
    log.with({ task: 't1' }).with({ worker: 'w' }).info('the copy begins', { table: 'public.a' });
    log.debug('not at this level');
    expect(said()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        task: 't1',
        worker: 'w',
        table: 'public.a',
        msg: 'the copy begins',
      },
    ]);
  });

  it('tells the facts of errors and none of the texts of others', () => {
    const { log, said, raw } = lines();
    const refused = Object.assign(new Error('connect ECONNREFUSED MARKER'), { code: 'ECONNREFUSED' });
    log.failure(new AppError('STORE_UNAVAILABLE', { problem: 'MARKER' }, refused), 'the store is away');
    log.failure(
      new AppError('NOT_FOUND', { kind: 'task', name: 'shop', key: 'MARKER', row: 'MARKER' }),
      'a task failed',
      { level: 'warn' },
    );
    log.failure(new AppError('SEALING_KEY_INVALID', { problem: 'none is given' }), 'no start');
    log.failure(fromServer, 'a request failed');
    log.failure('MARKER', 'a request failed');
    log.failure(toAppError(new TypeError('MARKER')), 'a request failed');
    expect(said()).toMatchObject([
      { level: 'error', error: { code: 'STORE_UNAVAILABLE', errno: 'ECONNREFUSED' } },
      { level: 'warn', error: { code: 'NOT_FOUND', facts: { kind: 'task', name: 'shop' } } },
      { error: { code: 'SEALING_KEY_INVALID', facts: { problem: 'none is given' } } },
      {
        error: { code: 'UNEXPECTED', sqlstate: '23505', at: expect.arrayContaining([expect.any(String)]) },
      },
      { error: { code: 'UNEXPECTED', at: [] } },
      { error: { type: 'TypeError', at: expect.arrayContaining([expect.stringContaining('log.test.ts')]) } },
    ]);
    expect(raw.join('')).not.toContain('MARKER');
  });

  it('takes no message that was put together', () => {
    const { log } = lines();
    const name = String(Math.random());
    // @ts-expect-error A text that varies is no literal.
    log.info(name);
    // @ts-expect-error Nor is a template of it.
    log.info(`table ${name}`);
    // @ts-expect-error What has no field cannot be said.
    log.info('a row', { row: name });
  });

  it('holds repeated lines back, and says how many they were', () => {
    const { log, said } = lines();
    const seldom = log.seldom(3600);
    for (let i = 0; i < 5; i++) seldom.warn('the store is away', { task: 'a' });
    seldom.warn('the store is away', { task: 'b' });
    expect(said().map(({ task }) => task)).toEqual(['a', 'b']);
    const gate = new Gate(1000);
    expect([0, 10, 999, 1000, 1001].map((now) => gate.pass('a', now))).toEqual([0, null, null, 2, null]);
    for (let i = 0; i < 5000; i++) gate.pass(`other ${i}`, 1002);
    expect(gate.pass('a', 1003)).toBe(0);
  });
});
