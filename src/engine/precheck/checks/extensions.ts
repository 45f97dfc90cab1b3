/** Extensions of the source that the target lacks: their objects are not migrated, the extension must be there. */
import { ident } from '../../pg/ident.ts';
import type { Check } from '../check.ts';
import { counted, finding, listed } from '../finding.ts';

export const extensions: Check = {
  name: 'extensions',
  async run({ source, target, types }) {
    if (!types.has('schema')) return [];
    const wanted = await source.query(
      `SELECT e.extname AS name, n.nspname AS schema
         FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname`,
    );
    const present = new Set(
      (await target.query('SELECT extname AS name FROM pg_catalog.pg_extension')).map(({ name }) => name),
    );
    const missing = wanted.filter(({ name }) => !present.has(name));
    if (missing.length === 0)
      return [finding(this.name, 'passed', { what: 'the target has every extension of the source' })];
    const available = new Set(
      (await target.query('SELECT name FROM pg_catalog.pg_available_extensions')).map(({ name }) => name),
    );
    const lines = missing.flatMap(({ name, schema }) => [
      ...(available.has(name) ? [] : [`-- first install the files of "${name}" on the target server`]),
      // Schemas of the server itself exist; `WITH SCHEMA pg_catalog` would be refused for most extensions.
      ...(schema === 'pg_catalog' || schema === 'public'
        ? []
        : [`CREATE SCHEMA IF NOT EXISTS ${ident(schema ?? '')};`]),
      `CREATE EXTENSION IF NOT EXISTS ${ident(name ?? '')}${schema === 'pg_catalog' ? '' : ` WITH SCHEMA ${ident(schema ?? '')}`};`,
    ]);
    return [
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
