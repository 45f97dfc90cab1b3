/** A schema of which the target refuses a part, and what is asked of `opendts schema`. */
import { expect } from 'vitest';
import type { DatabasePair, TestDatabase } from './database.ts';
import type { CliHome } from './spawn-cli.ts';

/** The target has the extension in another schema: the function is refused there, and what needs it waits. */
export const SHOP = `
  CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE SCHEMA shop;
  CREATE TABLE shop.item (id int PRIMARY KEY, name text);
  INSERT INTO shop.item VALUES (1, 'A'), (2, 'B'), (3, 'C');
  CREATE FUNCTION shop.norm(v text, w ext.citext DEFAULT NULL) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower(v)';
  CREATE VIEW shop.names AS SELECT id, shop.norm(name) AS name FROM shop.item;
  CREATE VIEW shop.more_names AS SELECT name FROM shop.names;
  CREATE VIEW shop.plain AS SELECT id FROM shop.item;
  CREATE INDEX item_norm ON shop.item (shop.norm(name));
  CREATE INDEX item_name ON shop.item (name)`;

export const NORM = 'function shop.norm(v text, w ext.citext)';

/** As it can be on a target without the extension's schema. */
export const OTHER_NORM = `CREATE FUNCTION shop.norm(v text, w text DEFAULT NULL) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower(v)'`;

export const ends = ({ source, target }: Pick<DatabasePair, 'source' | 'target'>): string[] => [
  '--source',
  source.uri,
  '--target',
  target.uri,
];

interface ReportedObject {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly waitsFor: readonly string[];
  readonly edited: boolean;
  readonly statements?: readonly string[];
}

export interface Report {
  readonly code: number | null;
  readonly objects: ReadonlyMap<string, ReportedObject>;
  readonly notMigrated: readonly string[];
  readonly nextSteps: readonly { readonly command: string }[];
  /** `state id`, of those that are neither created nor to come. */
  readonly lines: readonly string[];
}

export async function reportOf(
  pair: Pick<DatabasePair, 'source' | 'target'>,
  home: CliHome,
  ...options: string[]
): Promise<Report> {
  const { code, stdout, stderr } = await home.run(['schema', 'report', '--json', ...ends(pair), ...options]);
  expect(stderr).toBe('');
  const parsed = JSON.parse(stdout) as {
    kind: string;
    data: { tasks: { objects: ReportedObject[]; notMigrated: string[] }[] };
    next_steps: { command: string }[];
  };
  expect(parsed.kind).toBe('SchemaReport');
  expect(parsed.data.tasks).toHaveLength(1);
  const { objects, notMigrated } = parsed.data.tasks[0]!;
  return {
    code,
    objects: new Map(objects.map((one) => [one.id, one])),
    notMigrated,
    nextSteps: parsed.next_steps,
    lines: objects
      .filter(({ state }) => state !== 'created' && state !== 'planned')
      .map(({ state, id }) => `${state} ${id}`),
  };
}

export async function relations({ session }: TestDatabase, schema = 'shop'): Promise<string[]> {
  const rows = await session.query(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace($1) ORDER BY relname COLLATE "C"`,
    [schema],
  );
  return rows.map(({ name }) => name ?? '');
}
