/** Task files: what is accepted, where a mistake is reported, and that secrets stay out of the report. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../base/errors/app-error.ts';
import { readTaskFile } from './task-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'opendts-task-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(text: string, env: Record<string, string> = {}) {
  const file = join(folder, 'task.yaml');
  writeFileSync(file, text);
  return readTaskFile(file, env);
}

function failure(text: string): AppError {
  try {
    read(text);
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error('the file was accepted');
}

const head = 'apiVersion: opendts/v1\nkind: Task\n';

describe('a task file', () => {
  it('is read from YAML', () => {
    const spec = read(
      `${head}spec:\n  source: postgresql://a@h/x\n  types: [schema, full]\n  tables:\n    - shop.*\n`,
    );
    expect(spec).toMatchObject({
      source: 'postgresql://a@h/x',
      types: ['schema', 'full'],
      tables: ['shop.*'],
    });
  });

  it('holds rules for tables, each with something to say', () => {
    const spec = read(
      `${head}spec:\n  operations: [insert, update]\n  rules:\n    - { tables: 'sales.*', filter: "region = 'EU'" }\n    - { tables: sales.log, operations: [insert] }\n`,
    );
    expect(spec).toMatchObject({
      operations: ['insert', 'update'],
      rules: [
        { tables: 'sales.*', filter: "region = 'EU'" },
        { tables: 'sales.log', operations: ['insert'] },
      ],
    });
    expect(failure(`${head}spec:\n  rules:\n    - { tables: a }\n`).message).toContain(
      'line 5, column 7: spec.rules.0: a rule needs operations or a filter',
    );
    expect(failure(`${head}spec:\n  operations: [insert, upsert]\n`).message).toContain('spec.operations.1');
  });

  it('is read from JSON', () => {
    const spec = read(JSON.stringify({ apiVersion: 'opendts/v1', kind: 'Task', spec: { jobs: 7 } }));
    expect(spec.jobs).toBe(7);
  });

  it.each([
    ['an unknown field', `${head}spec:\n  sorce: x\n`, 4, 3, 'unknown field "sorce" (known: source, target'],
    ['an unknown field at the top', `${head}spec: {}\nextra: 1\n`, 4, 1, 'unknown field "extra"'],
    ['an unknown type', `${head}spec:\n  types:\n    - schema\n    - fulll\n`, 6, 7, 'spec.types.1: '],
    ['a number out of range', `${head}spec:\n  jobs: 65\n`, 4, 9, 'spec.jobs: '],
    ['a missing field', 'apiVersion: opendts/v1\nspec: {}\n', 1, 1, 'kind: '],
    ['another apiVersion', 'apiVersion: v2\nkind: Task\nspec: {}\n', 1, 13, 'apiVersion: '],
    ['broken YAML', `${head}spec:\n  tables: [a, b\n`, 5, 1, ''],
    ['a field given twice', `${head}spec:\n  jobs: 1\n  jobs: 2\n`, 5, 3, 'Map keys must be unique'],
    ['something else than a map', '- a\n', 1, 1, 'Invalid input'],
    ['an empty file', '', 1, 1, 'Invalid input'],
    [
      'a variable that is not set',
      `${head}spec:\n  source: "\${env:NOPE}"\n`,
      4,
      11,
      'environment variable NOPE is not set',
    ],
    [
      'a file that is not there',
      `${head}spec:\n  target: "\${file:/no/such}"\n`,
      4,
      11,
      '/no/such cannot be read (no such file or directory)',
    ],
  ])('says where it is wrong: %s', (_, text, ...expected) => {
    const [line, column, problem] = expected;
    const error = failure(text);
    expect(error.code).toBe('TASK_FILE_INVALID');
    expect(error.facts).toMatchObject({ line, column });
    expect(error.facts['problem']).toContain(problem);
  });

  it('that cannot be read is named with the reason', () => {
    expect(() => readTaskFile(join(folder, 'none.yaml'), {})).toThrow(
      /none\.yaml cannot be read: no such file/,
    );
  });

  it.each([
    ['a broken line', `${head}spec:\n  source: "postgresql://u:MARKER@h/d\n  target: x\n`],
    ['a wrong type', `${head}spec:\n  source: [MARKER]\n`],
    ['an alias', `${head}spec:\n  source: *MARKER\n`],
    ['a stray word', `${head}spec:\n  source: "a" MARKER\n`],
  ])('never quotes its content in an error: %s', (_, text) => {
    const error = failure(text);
    expect(`${error.message} ${error.remedy} ${JSON.stringify(error.facts)}`).not.toContain('MARKER');
  });
});

describe('a reference', () => {
  const secret = "p@s:s/w'o\\rd";

  it('that is the whole value is taken as it is', () => {
    const spec = read(`${head}spec:\n  source: "\${env:URI}"\n`, { URI: 'host=h password=x' });
    expect(spec.source).toBe('host=h password=x');
  });

  it('inside a URI is percent-encoded', () => {
    const spec = read(`${head}spec:\n  source: postgresql://u:\${env:PW}@h/d\n`, { PW: secret });
    expect(decodeURIComponent(new URL(spec.source ?? '').password)).toBe(secret);
  });

  it('inside keyword/value pairs is quoted, unless it is already', () => {
    const spec = read(
      `${head}spec:\n  source: host=h password=\${env:PW}\n  target: "host=h password='\${env:PW}'"\n`,
      { PW: secret },
    );
    expect(spec.source).toBe(String.raw`host=h password='p@s:s/w\'o\\rd'`);
    expect(spec.target).toBe(spec.source);
  });

  it('to a file leaves out the line break at its end', () => {
    const file = join(folder, 'secret');
    writeFileSync(file, 'postgresql://u@h/d\n');
    expect(read(`${head}spec:\n  source: "\${file:${file}}"\n`).source).toBe('postgresql://u@h/d');
  });
});
