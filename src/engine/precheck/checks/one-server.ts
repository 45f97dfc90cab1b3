/**
 * Every session must reach the same server, and directly: a snapshot is known to one server only, and behind a pooler a session is not
 * ours alone (data-plane P3).
 */
import { AppError } from '../../../base/errors/app-error.ts';
import type { ConnInfo } from '../../pg/conninfo/conninfo.ts';
import { connect } from '../../pg/connect.ts';
import { isShortOfConnections } from '../../pg/connect-failure.ts';
import { describeServer, readServerFacts, relationOf } from '../../pg/server-facts.ts';
import type { Session } from '../../pg/session.ts';
import type { Check, Finding } from '../check.ts';
import { finding, listed } from '../finding.ts';

/** Enough to meet another server where a load balancer takes them in turn. */
const MORE_SESSIONS = 3;

async function judge(first: Session, info: ConnInfo, check: string): Promise<Finding> {
  const { side } = first;
  await using opened = new AsyncDisposableStack();
  const sessions = [first];
  // All at once: some balancers choose the server with the fewest connections.
  for (const more of await Promise.allSettled(
    Array.from({ length: MORE_SESSIONS }, () => probe(info, side)),
  )) {
    if (more.status === 'fulfilled') sessions.push(opened.use(more.value));
    // Another check speaks of that; what could be opened is compared.
    else if (!isShortOfConnections(more.reason)) throw more.reason;
  }
  try {
    const mine = await readServerFacts(first);
    const facts = await Promise.all(sessions.map((session) => readServerFacts(session)));
    if (facts.some((one) => relationOf(mine, one) !== 'same'))
      return finding(check, 'failed', {
        what: `connections for the ${side} reach different servers`,
        evidence: listed([...new Set(facts.map(describeServer))]),
        fix: `-- give the address of one server as --${side}, not of a load balancer`,
      });
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'POOLER') throw thrown;
    return finding(check, 'failed', {
      what: `a connection pooler sits between us and the ${side}`,
      evidence: 'the server knows the session under another process id than the one told at the login',
      fix: `-- give the address and port of the server itself as --${side}`,
    });
  }
  return finding(check, 'passed', {
    what: `all connections reach one server as the ${side}, directly`,
    evidence: `${sessions.length} compared`,
  });
}

function probe(info: ConnInfo, side: Session['side']): Promise<Session> {
  return connect(info, { side, applicationName: 'opendts:check:probe' });
}

export const oneServer: Check = {
  name: 'one_server',
  async run({ source, target, sourceInfo, targetInfo }) {
    return [await judge(source, sourceInfo, this.name), await judge(target, targetInfo, this.name)];
  },
};
