/** GRANT and REVOKE: as few statements as say it, in an order that does not depend on how it came about. */
import { ident } from '../../pg/ident.ts';

export interface Right {
  /** Null for PUBLIC. */
  readonly grantee: string | null;
  readonly privilege: string;
  /** Where it is a right to one column only. */
  readonly column: string | null;
  readonly grantable: boolean;
  readonly revoked: boolean;
}

/** `on`: `TABLE "s"."t"`; `before` stands in front of each statement. What is taken away goes first: it takes rights to columns with it. */
export function grantStatements(on: string, rights: readonly Right[], before = ''): string[] {
  const taken = grouped(rights.filter(({ revoked }) => revoked)).map(
    ({ privileges, grantees }) => `${before}REVOKE ${privileges} ON ${on} FROM ${grantees}`,
  );
  const given = [false, true].flatMap((grantable) =>
    grouped(rights.filter((one) => !one.revoked && one.grantable === grantable)).map(
      ({ privileges, grantees }) =>
        `${before}GRANT ${privileges} ON ${on} TO ${grantees}${grantable ? ' WITH GRANT OPTION' : ''}`,
    ),
  );
  return [...taken, ...given];
}

/** Who has the same rights stands in the same statement. */
function grouped(rights: readonly Right[]): { privileges: string; grantees: string }[] {
  const ofGrantee = [...Map.groupBy(rights, ({ grantee }) => grantee)].map(([grantee, own]) => ({
    grantee: grantee === null ? 'PUBLIC' : ident(grantee),
    privileges: [...Map.groupBy(own, ({ privilege }) => privilege)]
      .flatMap(([privilege, all]) => named(privilege, all))
      .join(', '),
  }));
  return [...Map.groupBy(ofGrantee, ({ privileges }) => privileges)].map(([privileges, all]) => ({
    privileges,
    grantees: all.map(({ grantee }) => grantee).join(', '),
  }));
}

/** A right to the whole, and the same one to columns, where somebody has given both. */
function named(privilege: string, rights: readonly Right[]): string[] {
  const columns = rights.flatMap(({ column }) => (column === null ? [] : [ident(column)]));
  return [
    ...(columns.length < rights.length ? [privilege] : []),
    ...(columns.length > 0 ? [`${privilege} (${columns.join(', ')})`] : []),
  ];
}
