import { describe, expect, it } from 'vitest';
import type { AclEntry } from '../../pg/catalog/rights/acl.ts';
import type { SchemaModel } from '../model.ts';
import { mergeSchemas } from './merge-schemas.ts';

const [A, B, OTHER] = ['pg_namespace:1', 'pg_namespace:2', 'pg_namespace:3'] as const;
const TOGETHER = {
  name: 'x',
  schemas: [
    { key: A, name: 'a' },
    { key: B, name: 'b' },
  ],
};
const entry = (grantee: string | null, privilege: string, more: Partial<AclEntry> = {}): AclEntry => ({
  grantee,
  isOwner: false,
  privilege,
  grantable: false,
  revoked: false,
  ...more,
});
const owner = (object: string, name: string) => ({ object, owner: name, isSecurityDefiner: false });
const grant = (object: string, ...entries: AclEntry[]) => ({ object, language: null, attnum: null, entries });

function merge(given: Partial<SchemaModel['rights']>, comments: SchemaModel['comments'] = []) {
  const none = { owners: [], grants: [], defaults: [], settings: [], roles: [], memberships: [] };
  const merged = mergeSchemas({ rights: { ...none, ...given }, comments }, [TOGETHER]);
  return { ...merged, lost: merged.lostInMerging.map(({ id, reason }) => `${id}: ${reason}`) };
}

describe('schemas that are one on the target', () => {
  it('keep an owner that is the same, and that of none else', () => {
    const same = merge({ owners: [owner(A, 'o'), owner(B, 'o'), owner(OTHER, 'z')] });
    expect(same.rights.owners).toEqual([owner(OTHER, 'z'), owner(A, 'o')]);
    expect(same.rights.grants).toEqual([]);
    expect(same.lost).toEqual([]);
    const apart = merge({ owners: [owner(A, 'o'), owner(B, 'p q')] });
    expect(apart.rights.owners).toEqual([]);
    expect(apart.lost).toEqual([
      'owner of schema x: a (of "o"), b (of "p q") are one there; it stays with the account of the migration',
      expect.stringContaining('rights of "o" on schema x: '),
      expect.stringContaining('run GRANT CREATE, USAGE ON SCHEMA "x" TO "p q"'),
    ]);
  });

  it('give what all of them give, and nobody more than he has in each', () => {
    const { rights, lost } = merge({
      owners: [owner(A, 'o'), owner(B, 'o')],
      grants: [
        grant(A, entry('r', 'USAGE', { grantable: true }), entry('s', 'USAGE'), entry('t', 'CREATE')),
        grant(B, entry(null, 'USAGE'), entry('r', 'USAGE')),
        grant(OTHER, entry('z', 'USAGE')),
      ],
    });
    expect(rights.grants).toEqual([
      grant(OTHER, entry('z', 'USAGE')),
      grant(A, entry('r', 'USAGE'), entry('s', 'USAGE')),
    ]);
    const said = 'a, b are one there, and not all of them give it; to give it to all that is in it run';
    expect(lost).toEqual([
      `rights of "r" on schema x: ${said} GRANT USAGE ON SCHEMA "x" TO "r" WITH GRANT OPTION`,
      `rights of "t" on schema x: ${said} GRANT CREATE ON SCHEMA "x" TO "t"`,
      `rights of PUBLIC on schema x: ${said} GRANT USAGE ON SCHEMA "x" TO PUBLIC`,
    ]);
  });

  it('take from the owner what one of them has taken from him', () => {
    const revoked = entry('o', 'CREATE', { isOwner: true, revoked: true });
    const { rights, lost } = merge({
      owners: [owner(A, 'o'), owner(B, 'o')],
      grants: [grant(B, revoked)],
    });
    expect(rights.grants).toEqual([grant(A, revoked)]);
    expect(lost).toHaveLength(1);
  });

  it('leave a role what it has as the owner of one and by a grant in the other', () => {
    const { rights } = merge({
      owners: [owner(A, 'o'), owner(B, 'p')],
      grants: [grant(B, entry('o', 'USAGE'))],
    });
    expect(rights.grants).toEqual([grant(A, entry('o', 'USAGE'))]);
  });

  it('have the default privileges of all, by role and kind', () => {
    const of = (schema: string, kind: string, ...entries: AclEntry[]) => ({
      role: 'o',
      schema,
      kind,
      entries,
    });
    const { rights, lost } = merge({
      defaults: [
        of(A, 'TABLES', entry('r', 'SELECT'), entry('r', 'INSERT')),
        of(B, 'TABLES', entry('r', 'SELECT')),
        of(B, 'FUNCTIONS', entry('r', 'EXECUTE')),
        { ...of(A, 'TABLES', entry('r', 'DELETE')), schema: null },
      ],
    });
    expect(rights.defaults).toEqual([
      { ...of(A, 'TABLES', entry('r', 'DELETE')), schema: null },
      of(A, 'TABLES', entry('r', 'SELECT')),
    ]);
    expect(lost).toEqual([
      expect.stringMatching(
        /^default privileges of role o on tables in schema x for "r": .* run ALTER DEFAULT PRIVILEGES FOR ROLE "o" IN SCHEMA "x" GRANT INSERT ON TABLES TO "r"$/,
      ),
      expect.stringMatching(/^default privileges of role o on functions in schema x for "r": /),
    ]);
  });

  it('have the first comment', () => {
    const comment = (object: string, text: string) => ({ object, column: null, text });
    expect(merge({}, [comment(B, 'of b')])).toMatchObject({ comments: [comment(A, 'of b')], lost: [] });
    const both = merge({}, [comment(A, 'of a'), comment(B, 'of b'), comment('pg_class:1', 't')]);
    expect(both.comments).toEqual([comment('pg_class:1', 't'), comment(A, 'of a')]);
    expect(both.lost).toEqual(['comment of schema b: it is one with a there, whose comment stands']);
  });
});
