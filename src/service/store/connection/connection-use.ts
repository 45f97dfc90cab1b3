/** SQL that counts the sessions that tasks have by way of `opendts.connection c`. */

/** What a worker had that has not been seen for so long counts no more. */
const GONE = "interval '15 seconds'";

/** On either side: a hand's own session, and one that looks at the catalog. */
export const SESSIONS_OF_A_HAND = 2;

/** `which`: a condition on `u.task_id`. */
export function usedByTasks(which: string): string {
  return `COALESCE((SELECT sum(u.count) FROM opendts.connection_use u JOIN opendts.worker w ON w.id = u.worker_id
    WHERE u.connection_id = c.id AND ${which} AND w.seen_at > now() - ${GONE}), 0)::int`;
}

/** Of a pass whose owner was not heard of for so long no hand is open any more (beat-hands.ts). */
const OVER = "interval '60 seconds'";

/** Of hands that other workers lend; `which`: a condition on `p.task_id`. */
export function usedByHands(which: string): string {
  return `(SELECT ${SESSIONS_OF_A_HAND} * count(*) FROM opendts.copy_hand h JOIN opendts.copy_pass p ON p.id = h.pass_id
      JOIN opendts.task k ON k.id = p.task_id
    WHERE c.id IN (k.source_connection, k.target_connection) AND p.beat_at > now() - ${OVER} AND ${which})::int`;
}
