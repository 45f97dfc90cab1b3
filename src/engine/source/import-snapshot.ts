/** Takes a held snapshot over into another session, once that is known to be one of the server that holds it (data-plane P3). */
import { AppError } from '../../base/errors/app-error.ts';
import { literal } from '../pg/ident.ts';
import { sqlstateOf } from '../pg/pg-error.ts';
import { otherServer, readServerFacts, relationOf } from '../pg/server-facts.ts';
import type { Session } from '../pg/session.ts';
import type { HeldSnapshot } from './snapshot-holder.ts';

export type ImportedSnapshot = Pick<HeldSnapshot, 'exportedId' | 'server' | 'isHeld'>;

/**
 * Opens the session's transaction under a held snapshot. Throws SNAPSHOT_LOST when its holder is gone, OTHER_SERVER or POOLER where the
 * connection cannot see it though it is there.
 */
export async function importSnapshot(session: Session, held: ImportedSnapshot): Promise<void> {
  // Rows come in one order each time: where one cannot pass, it is found again by its place in that order.
  const here = await readServerFacts(
    session,
    'SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0; ',
  );
  const relation = relationOf(here, held.server);
  // A server that was started again has lost its snapshots; one that still has ours while we are elsewhere is another.
  if (relation === 'restarted' && !(await held.isHeld())) throw new AppError('SNAPSHOT_LOST');
  if (relation !== 'same') throw otherServer(session.side, held.server, here);
  try {
    await session.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${literal(held.exportedId)}`,
    );
  } catch (thrown) {
    // No such snapshot any more: invalid_parameter_value or undefined_object, by version; 55000 while its holder is just ending.
    if (/^(22023|42704|55000)$/.test(sqlstateOf(thrown) ?? ''))
      throw new AppError('SNAPSHOT_LOST', {}, thrown);
    throw thrown;
  }
}
