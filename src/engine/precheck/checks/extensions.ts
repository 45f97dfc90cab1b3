/** Extensions of the source that the target lacks: their objects are not migrated, the extension must be there. */
import { readCreatableExtensions } from '../../pg/catalog/extensions/extensions.ts';
import { ident } from '../../pg/ident.ts';
import { extensionSql } from '../../schema/ddl/extension-ddl.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, finding, listed } from '../finding.ts';

const NAME = 'extensions';

export const extensions: Check = {
  name: NAME,
  async run(context) {
    const { source, target, types, mapping } = context;
    if (!types.has('schema')) return [];
    const here = await source.query(
      `SELECT e.extname AS name, n.nspname AS schema
         FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname`,
    );
    const wanted = here.map(({ name, schema }) => ({
      name: name ?? '',
      schema: mapping.schema(schema ?? ''),
    }));
    const there = await target.query(
      `SELECT e.extname AS name, n.nspname AS schema
         FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace`,
    );
    const present = new Map(there.map(({ name, schema }) => [name, schema ?? '']));
    const lacking = wanted.filter(({ name }) => !present.has(name));
    const elsewhere = wanted.filter(({ name, schema }) => (present.get(name) ?? schema) !== schema);
    const found = [...misplaced(elsewhere), ...(await missingOnes(context, lacking))];
    return found.length > 0
      ? found
      : [finding(NAME, 'passed', { what: 'the target has every extension of the source' })];
  },
};

interface Extension {
  readonly name: string;
  /** As the target is to call it. */
  readonly schema: string;
}

/** What speaks of their members says the schema too. */
function misplaced(extensions: readonly Extension[]): Finding[] {
  if (extensions.length === 0) return [];
  return [
    finding(NAME, 'alert', {
      what: `${counted(extensions.length, 'extension')} of the target ${extensions.length === 1 ? 'stands' : 'stand'} in another schema than objects of the source will look for`,
      evidence: listed(extensions.map(({ name }) => name)),
      fix: extensions
        .flatMap(({ name, schema }) => [
          ...schemaFor(schema),
          `ALTER EXTENSION ${ident(name)} SET SCHEMA ${ident(schema)};`,
        ])
        .join('\n'),
    }),
  ];
}

async function missingOnes(
  { target, createExtensions = false }: CheckContext,
  lacking: readonly Extension[],
): Promise<Finding[]> {
  if (lacking.length === 0) return [];
  const creatable = createExtensions ? await readCreatableExtensions(target) : new Set<string>();
  const available = new Set(
    (await target.query('SELECT name FROM pg_catalog.pg_available_extensions')).map(({ name }) => name),
  );
  const [ours, missing] = [
    lacking.filter(({ name }) => creatable.has(name)),
    lacking.filter(({ name }) => !creatable.has(name)),
  ];
  const created =
    ours.length === 0
      ? []
      : [
          finding(NAME, 'passed', {
            what: `${counted(ours.length, 'extension')} that the target lacks will be created there`,
            evidence: listed(ours.map(({ name }) => name)),
          }),
        ];
  if (missing.length === 0) return created;
  const lines = missing.flatMap(({ name, schema }) => [
    ...(available.has(name) ? [] : [`-- first install the files of "${name}" on the target server`]),
    ...schemaFor(schema),
    `${extensionSql(name, schema)};`,
  ]);
  return [
    ...created,
    finding(NAME, 'alert', {
      what: `the target lacks ${counted(missing.length, 'extension')} of the source; objects that use them cannot be created`,
      evidence: listed(
        missing.map(({ name }) => `${name}${available.has(name) ? '' : ' (not installed on that server)'}`),
      ),
      fix: lines.join('\n'),
    }),
  ];
}

/** Schemas of the server itself exist. */
function schemaFor(schema: string): string[] {
  return schema === 'pg_catalog' || schema === 'public'
    ? []
    : [`CREATE SCHEMA IF NOT EXISTS ${ident(schema)};`];
}
