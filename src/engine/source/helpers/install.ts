/** The helpers of a task in the source, before its slot (P1) and whenever one is found missing. */
import type { Session } from '../../pg/session.ts';
import type { SourceNames } from '../source-names.ts';
import { ensureCapture } from './ddl-capture.ts';
import { ensureHeartbeat } from './heartbeat.ts';
import type { HelperState } from './helper-tables.ts';

export interface HelperWishes {
  readonly heartbeat: boolean;
  readonly captureDdl: boolean;
}

export interface Helpers {
  readonly heartbeat: HelperState;
  readonly capture: HelperState;
}

const NOT_WANTED: HelperState = { kind: 'off', why: 'not wanted' };

export async function ensureHelpers(
  source: Session,
  names: SourceNames,
  wishes: HelperWishes,
): Promise<Helpers> {
  return {
    heartbeat: wishes.heartbeat ? await ensureHeartbeat(source, names) : NOT_WANTED,
    capture: wishes.captureDdl ? await ensureCapture(source, names) : NOT_WANTED,
  };
}
