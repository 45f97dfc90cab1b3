/** An error the server reported, with its fields; and the SQLSTATE classes that decide what happens next. */

export interface PgErrorFields {
  readonly sqlstate: string;
  readonly severity: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly position?: string | undefined;
  readonly where?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly constraint?: string | undefined;
}

/** `detail` and `where` may hold row values: they stay here and never go into our own error texts or logs. */
export class PgError extends Error {
  override readonly name = 'PgError';
  readonly fields: PgErrorFields;
  /** In a pipeline: index of the statement that failed. */
  readonly statementIndex: number | undefined;

  constructor(fields: PgErrorFields, statementIndex?: number) {
    super(fields.message);
    this.fields = fields;
    this.statementIndex = statementIndex;
  }

  get sqlstate(): string {
    return this.fields.sqlstate;
  }

  /**
   * The message for error texts. Those about data (class 22, syntax of a value, texts of the user's own triggers) quote values, in
   * whatever language and kind of quotes: they are cut where the quoting begins.
   */
  get shown(): string {
    if (!/^(22|42601|P0)/.test(this.sqlstate)) return this.message;
    return this.message.split(/["»«„“‘':]/)[0]?.trim() || `error ${this.sqlstate}`;
  }
}

export const SQLSTATE = {
  featureNotSupported: '0A000',
  invalidSchemaName: '3F000',
  uniqueViolation: '23505',
  exclusionViolation: '23P01',
  duplicateObject: '42710',
  duplicateTable: '42P07',
  duplicateFunction: '42723',
  duplicateSchema: '42P06',
  undefinedObject: '42704',
  undefinedTable: '42P01',
  insufficientPrivilege: '42501',
  invalidCatalogName: '3D000',
  lockNotAvailable: '55P03',
  readOnlyTransaction: '25006',
  objectInUse: '55006',
  deadlock: '40P01',
  undefinedFile: '58P01',
  divisionByZero: '22012',
  queryCanceled: '57014',
} as const;

export function sqlstateOf(thrown: unknown): string | undefined {
  return thrown instanceof PgError ? thrown.sqlstate : undefined;
}

/** Errors of the data itself (P11): replaying in order may pass, and else a person must look. */
export function isDataError(thrown: unknown): boolean {
  const state = sqlstateOf(thrown);
  return state !== undefined && (/^(21|22|23|44|P0)/.test(state) || state === '55000');
}

/**
 * Says nothing of the statement: the server was disturbed (deadlock, cancellation, a lock in the way), is short of something, or takes no
 * writes. The limits of a session (53400) and files that a statement names (58P01) are its own matter.
 */
export function isDisturbance(thrown: unknown): boolean {
  const state = sqlstateOf(thrown);
  if (state === undefined) return false;
  return (
    /^(40|53[0-3]|57|58[0-9])/.test(state) ||
    state === SQLSTATE.lockNotAvailable ||
    state === SQLSTATE.readOnlyTransaction
  );
}

/** The connection is gone or the server is going: the same work may be tried again on a new connection. */
export function isConnectionLoss(thrown: unknown): boolean {
  const state = sqlstateOf(thrown);
  if (state !== undefined)
    return /^(08|57P0[1-5])/.test(state) || state === '25P03' || state === '25P04' || state === '53300';
  if (!(thrown instanceof Error)) return false;
  const code = 'code' in thrown ? String(thrown.code) : '';
  return (
    /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN|ENOENT)/.test(code) ||
    /^Connection (terminated|ended|closed)/.test(thrown.message)
  );
}
