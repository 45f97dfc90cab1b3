/** Exit codes of the CLI; documented in docs/cli.md and tested. */

export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  connection: 3,
  check: 4,
  data: 5,
  differences: 6,
  cutover: 7,
  timeout: 8,
  sigint: 130,
  sigterm: 143,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
