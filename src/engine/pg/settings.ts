/** What every session of ours sets, on both sides: text forms that do not depend on the server's configuration, and no time limits. */

/** Applied by `SET` after login (a pooler would refuse startup options). Unknown settings of other versions are left out by version. */
export function sessionSettings(version: number): Readonly<Record<string, string>> {
  return {
    client_encoding: 'UTF8',
    datestyle: 'ISO',
    intervalstyle: 'postgres',
    timezone: 'UTC',
    extra_float_digits: version >= 120_000 ? '1' : '3',
    bytea_output: 'hex',
    lc_monetary: 'C',
    search_path: '',
    xmloption: 'content',
    statement_timeout: '0',
    lock_timeout: '0',
    row_security: 'off',
    // What we report as durable must be: those who turn it off look later whether it is (chunk-writer.ts, applier.ts).
    synchronous_commit: 'on',
    default_transaction_read_only: 'off',
    default_transaction_isolation: 'read committed',
    standard_conforming_strings: 'on',
    check_function_bodies: 'off',
    client_min_messages: 'warning',
    ...(version >= 90_600 ? { idle_in_transaction_session_timeout: '0' } : {}),
    ...(version >= 140_000 ? { idle_session_timeout: '0' } : {}),
    ...(version >= 170_000 ? { transaction_timeout: '0' } : {}),
  };
}
