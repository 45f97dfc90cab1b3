/** What the table of errors says of each. */
import type { ExitCode } from './exit.ts';

export interface ErrorEntry {
  /** `never`: a person must act. `later`: the same call may succeed after a while. */
  readonly retry: 'never' | 'later';
  readonly exit: ExitCode;
  readonly http: number;
  readonly says: string;
  readonly fix: string;
}

/** Entries that end the CLI with one exit code; `.later` for those worth trying again. */
export function area(exit: ExitCode) {
  const entry =
    (retry: ErrorEntry['retry']) =>
    (http: number, says: string, fix: string): ErrorEntry => ({ retry, exit, http, says, fix });
  return Object.assign(entry('never'), { later: entry('later') });
}
