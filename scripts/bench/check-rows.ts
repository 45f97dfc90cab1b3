/** Did everything arrive? Row counts against the source and the COPY tags, and indexes. The content is compared by `opendts verify`. */
import { countIndexes, countRows, openDatabase } from './cluster-pair.ts';
import type { Contender, CopyJob, CopyMeasurement } from './contender.ts';

/** Throws an Error that says what is wrong: a fast wrong copy is no result. */
export async function checkRows(
  job: CopyJob,
  { work }: Contender,
  { rowsByTag }: CopyMeasurement,
): Promise<void> {
  const { tables, database, indexes } = job.data;
  await using target = await openDatabase(job.pair.target, database);
  const counts = await countRows(
    target,
    tables.map(({ name }) => name),
  );
  for (const { name, rows } of tables) {
    const found = counts.get(name);
    if (found !== rows) throw new Error(`wrong copy: ${name} has ${found} rows, the source has ${rows}`);
  }
  const total = tables.reduce((sum, { rows }) => sum + rows, 0n);
  if (rowsByTag !== null && rowsByTag !== total)
    throw new Error(`wrong copy: the COPY tags say ${rowsByTag} rows, count(*) says ${total}`);
  const built = await countIndexes(target);
  if (work === 'whole' && built !== indexes)
    throw new Error(`wrong copy: ${built} valid indexes, the source has ${indexes}`);
}
