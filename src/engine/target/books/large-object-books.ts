/**
 * The books of the copy of large objects: ranges of oids that are done, each written in the transaction of its objects. Ranges do not
 * overlap, and the copy is complete when they cover all oids: an entry that a crash took away leaves a gap that shows.
 */
import { ALL_OIDS, type OidRange } from '../../change/oid-range.ts';
import type { Session } from '../../pg/session.ts';
import { holdFence } from './task-row.ts';

export interface DoneRange extends OidRange {
  /** The snapshot that the objects were read under. */
  readonly snapshot: string;
  /** Objects that we have made, and nobody else. */
  readonly made: readonly number[];
  /** Objects that the target had already (conflict mode ignore). */
  readonly skipped: number;
  readonly bytes: bigint;
}

/** What is not done yet, in order. */
export async function readGaps(session: Session, taskId: string): Promise<OidRange[]> {
  const rows = await session.query(
    `SELECT g.first::text, g.last::text
       FROM (SELECT coalesce(lag(l.last_oid) OVER (ORDER BY l.first_oid), 0) + 1 AS first, l.first_oid - 1 AS last
               FROM _opendts.large_object l WHERE l.task_id = $1
             UNION ALL
             SELECT coalesce(max(l.last_oid), 0) + 1, ${ALL_OIDS.last} FROM _opendts.large_object l WHERE l.task_id = $1) g
      WHERE g.first <= g.last ORDER BY g.first`,
    [taskId],
  );
  return rows.map((row) => ({ first: Number(row.first), last: Number(row.last) }));
}

export interface CopiedObjects {
  readonly made: bigint;
  readonly skipped: bigint;
  readonly bytes: bigint;
  /** Objects made under another snapshot than the given one. */
  readonly earlier: bigint;
}

/** What has been copied so far. */
export async function readCopiedObjects(
  session: Session,
  taskId: string,
  snapshot: string,
): Promise<CopiedObjects> {
  const row = await session.one(
    `SELECT coalesce(sum(pg_catalog.cardinality(l.made)), 0)::text AS made, coalesce(sum(l.skipped), 0)::text AS skipped,
            coalesce(sum(l.bytes), 0)::text AS bytes,
            coalesce(sum(pg_catalog.cardinality(l.made)) FILTER (WHERE l.snapshot <> $2), 0)::text AS earlier
       FROM _opendts.large_object l WHERE l.task_id = $1`,
    [taskId, snapshot],
  );
  return {
    made: BigInt(row.made ?? '0'),
    skipped: BigInt(row.skipped ?? '0'),
    bytes: BigInt(row.bytes ?? '0'),
    earlier: BigInt(row.earlier ?? '0'),
  };
}

/** Whether some of the range stands in the books; asked inside the transaction that would write it. */
export async function isRecorded(
  session: Session,
  taskId: string,
  { first, last }: OidRange,
): Promise<boolean> {
  const rows = await session.query(
    'SELECT FROM _opendts.large_object WHERE task_id = $1 AND first_oid >= $2::bigint AND first_oid <= $3::bigint LIMIT 1',
    [taskId, String(first), String(last)],
  );
  return rows.length > 0;
}

/** Inside the transaction that made the objects, with the fence held. */
export async function recordRanges(
  session: Session,
  taskId: string,
  ranges: readonly DoneRange[],
): Promise<void> {
  const rows = ranges.map(({ first, last, snapshot, made, skipped, bytes }) => [
    first,
    last,
    snapshot,
    `{${made.join(',')}}`,
    skipped,
    String(bytes),
  ]);
  await session.query(
    `INSERT INTO _opendts.large_object (task_id, first_oid, last_oid, snapshot, made, skipped, bytes)
       SELECT $1, (r.value ->> 0)::bigint, (r.value ->> 1)::bigint, r.value ->> 2, (r.value ->> 3)::pg_catalog.oid[],
              (r.value ->> 4)::bigint, (r.value ->> 5)::bigint FROM pg_catalog.json_array_elements($2::json) r`,
    [taskId, JSON.stringify(rows)],
  );
}

/** Ranges in which the source has no object. */
export async function recordEmpty(
  session: Session,
  task: { readonly taskId: string; readonly fence: bigint },
  { ranges, snapshot }: { ranges: readonly OidRange[]; snapshot: string },
): Promise<void> {
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    const empty = ranges.map((range) => ({ ...range, snapshot, made: [], skipped: 0, bytes: 0n }));
    await recordRanges(session, task.taskId, empty);
  });
}

/** Removes the objects that we made under other snapshots than this one, range by range, each together with its entry. */
export async function takeBackEarlier(
  session: Session,
  task: { readonly taskId: string; readonly fence: bigint },
  { snapshot, signal }: { snapshot: string; signal: AbortSignal },
): Promise<void> {
  let after = 0;
  for (;;) {
    signal.throwIfAborted();
    const [taken] = await session.transaction(async () => {
      await holdFence(session, task.taskId, task.fence);
      return session.query(
        `WITH taken AS (
           DELETE FROM _opendts.large_object l WHERE l.task_id = $1 AND l.first_oid =
             (SELECT min(e.first_oid) FROM _opendts.large_object e WHERE e.task_id = $1 AND e.first_oid > $3::bigint AND e.snapshot <> $2)
           RETURNING l.first_oid, l.made)
         SELECT t.first_oid::text AS first, count(pg_catalog.lo_unlink(m.oid))::text AS objects
           FROM taken t LEFT JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = ANY (t.made) GROUP BY t.first_oid`,
        [task.taskId, snapshot, String(after)],
      );
    });
    if (!taken) return;
    after = Number(taken.first);
  }
}
