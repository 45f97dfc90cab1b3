/** Extensions of the source that the target lacks: their objects are not migrated, the extension must be there. */
import { readCreatableExtensions } from '../../pg/catalog/extensions.ts';
import { ident } from '../../pg/ident.ts';
import { extensionSql } from '../../schema/ddl/extension-ddl.ts';
import type { Check } from '../check.ts';
import { counted, finding, listed } from '../finding.ts';

export const extensions: Check = {
  name: 'extensions',
  async run({ source, target, types, createExtensions = false, mapping }) {
    if (!types.has('schema')) return [];
    const found = await source.query(
      `SELECT e.extname AS name, n.nspname AS schema
         FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname`,
    );
    const wanted = found.map(({ name, schema }) => ({ name, schema: mapping.schema(schema ?? '') }));
    const present = new Set(
      (await target.query('SELECT extname AS name FROM pg_catalog.pg_extension')).map(({ name }) => name),
    );
    const lacking = wanted.filter(({ name }) => !present.has(name));
    if (lacking.length === 0)
      return [finding(this.name, 'passed', { what: 'the target has every extension of the source' })];
    const creatable = createExtensions ? await readCreatableExtensions(target) : new Set<string>();
    const available = new Set(
      (await target.query('SELECT name FROM pg_catalog.pg_available_extensions')).map(({ name }) => name),
    );
    const [ours, missing] = [
      lacking.filter(({ name }) => creatable.has(name ?? '')),
      lacking.filter(({ name }) => !creatable.has(name ?? '')),
    ];
    const created =
      ours.length === 0
        ? []
        : [
            finding(this.name, 'passed', {
              what: `${counted(ours.length, 'extension')} that the target lacks will be created there`,
              evidence: listed(ours.map(({ name }) => name ?? '')),
            }),
          ];
    if (missing.length === 0) return created;
    const lines = missing.flatMap(({ name, schema }) => [
      ...(available.has(name) ? [] : [`-- first install the files of "${name}" on the target server`]),
      // Schemas of the server itself exist; `WITH SCHEMA pg_catalog` would be refused for most extensions.
      ...(schema === 'pg_catalog' || schema === 'public'
        ? []
        : [`CREATE SCHEMA IF NOT EXISTS ${ident(schema ?? '')};`]),
      `${extensionSql(name ?? '', schema ?? '')};`,
    ]);
    return [
      ...created,
      finding(this.name, 'alert', {
        what: `the target lacks ${counted(missing.length, 'extension')} of the source; objects that use them cannot be created`,
        evidence: listed(
          missing.map(({ name }) => `${name}${available.has(name) ? '' : ' (not installed on that server)'}`),
        ),
        fix: lines.join('\n'),
      }),
    ];
  },
};
