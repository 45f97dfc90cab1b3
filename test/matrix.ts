/** How much of a table of versions or ways is tested: its first rows in a plain run, all of it by `npm run test:all`. */
export function firstOf<Row>(rows: number, all: readonly Row[]): readonly Row[] {
  return process.env.OPENDTS_TEST_ALL === '1' ? all : all.slice(0, rows);
}
