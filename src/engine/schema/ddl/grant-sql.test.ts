import { describe, expect, it } from 'vitest';
import { grantStatements, type Right } from './grant-sql.ts';

const right = (grantee: string | null, privilege: string, more: Partial<Right> = {}): Right => ({
  grantee,
  privilege,
  column: null,
  grantable: false,
  revoked: false,
  ...more,
});

describe('the statements for the rights to one object', () => {
  it('are few: roles with the same rights share one, what is taken away comes first', () => {
    expect(
      grantStatements('TABLE "s"."t"', [
        right(null, 'SELECT'),
        right('a', 'SELECT'),
        right('a', 'UPDATE', { grantable: true }),
        right('b"', 'SELECT'),
        right('owner', 'DELETE', { revoked: true }),
        right('owner', 'TRUNCATE', { revoked: true }),
      ]),
    ).toEqual([
      'REVOKE DELETE, TRUNCATE ON TABLE "s"."t" FROM "owner"',
      'GRANT SELECT ON TABLE "s"."t" TO PUBLIC, "a", "b"""',
      'GRANT UPDATE ON TABLE "s"."t" TO "a" WITH GRANT OPTION',
    ]);
  });

  it('name columns, also beside the same right to the whole', () => {
    expect(
      grantStatements('TABLE "t"', [
        right('a', 'SELECT'),
        right('a', 'SELECT', { column: 'x' }),
        right('a', 'SELECT', { column: 'y z' }),
        right('a', 'UPDATE', { column: 'x' }),
      ]),
    ).toEqual(['GRANT SELECT, SELECT ("x", "y z"), UPDATE ("x") ON TABLE "t" TO "a"']);
  });

  it('stand behind what comes before each of them', () => {
    expect(
      grantStatements('TABLES', [right('a', 'SELECT')], 'ALTER DEFAULT PRIVILEGES FOR ROLE "o" '),
    ).toEqual(['ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT SELECT ON TABLES TO "a"']);
  });
});
