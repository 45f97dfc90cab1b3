/** The whole table: which role may do what. Written out by hand, so that a change of the code is a change here. */
import { describe, expect, it } from 'vitest';
import { OPERATIONS, type OperationName } from '../../contract/api/operations.ts';
import { CONNECTION_RIGHTS, ROLES } from '../../contract/api/roles.ts';
import { isAllowed } from './permissions.ts';

/** `v` viewer, `o` operator, `m` migrator, `s` switcher, `a` admin of the group; `A` administrator of the installation; `.` nobody of it. */
const MAY: Readonly<Record<OperationName, string>> = {
  'session.create': 'everybody',
  'session.show': 'whoever has logged in',
  'session.delete': 'whoever has logged in',
  'password.change': 'whoever has logged in',
  'token.create': 'whoever has logged in',
  'token.list': 'whoever has logged in',
  'token.revoke': 'whoever has logged in',
  'account.create': '.....A',
  'account.list': '.....A',
  'account.update': '.....A',
  'account.resetPassword': '.....A',
  'group.create': '.....A',
  'group.list': 'whoever has logged in',
  'member.list': 'vomsaA',
  'member.put': '....aA',
  'member.delete': '....aA',
  'audit.list': '.....A',
  'audit.listGroup': '....aA',
  'connection.create': '....aA',
  'connection.list': 'vomsaA',
  'connection.show': 'vomsaA',
  'connection.update': '....aA',
  'connection.delete': '....aA',
  'connection.test': '.omsaA',
  'event.follow': 'vomsaA',
  'task.create': '..m.aA',
  'task.list': 'vomsaA',
  'task.show': 'vomsaA',
  'task.configure': '..m.aA',
  'task.rename': '..m.aA',
  'task.clone': '..m.aA',
  'task.delete': '..m.aA',
  'task.throttle': '.omsaA',
  'task.setRetry': '..m.aA',
  'task.precheck': '..m.aA',
  'task.start': '..m.aA',
  'task.pause': '.omsaA',
  'task.resume': '.omsaA',
  'task.stop': '..m.aA',
  'task.release': '..m.aA',
  'task.reset': '..m.aA',
  'taskGroup.start': '..m.aA',
  'taskGroup.pause': '.omsaA',
  'taskGroup.stop': '..m.aA',
  'task.checks': 'vomsaA',
  'task.tables': 'vomsaA',
  'task.chooseForTables': '.omsaA',
  'task.events': 'vomsaA',
  'task.series': 'vomsaA',
  'worker.list': '.....A',
  'worker.drain': '.....A',
};
const names = Object.keys(OPERATIONS) as OperationName[];
const nobody = { isLoggedIn: false, isAdministrator: false, membership: null };
const stranger = { ...nobody, isLoggedIn: true };

describe('who may', () => {
  it.each(names)('%s', (name) => {
    const allowed = MAY[name];
    const everybody = allowed === 'everybody';
    const anybody = everybody || allowed === 'whoever has logged in';
    expect(isAllowed(name, nobody)).toBe(everybody);
    expect(isAllowed(name, stranger)).toBe(anybody);
    const letters = [
      ...ROLES.map((role) => {
        const membership = { role, rights: [] };
        return isAllowed(name, { ...stranger, membership }) ? role.charAt(0) : '.';
      }),
      isAllowed(name, { ...stranger, isAdministrator: true }) ? 'A' : '.',
    ].join('');
    expect(letters).toBe(anybody ? 'vomsaA' : allowed);
  });

  it('is widened by a right that is given by name, and by nothing else', () => {
    for (const right of CONNECTION_RIGHTS) {
      const more = names.filter(
        (name) =>
          isAllowed(name, { ...stranger, membership: { role: 'viewer', rights: [right] } }) &&
          !isAllowed(name, { ...stranger, membership: { role: 'viewer', rights: [] } }),
      );
      expect(more).toEqual(
        {
          'connection.use': ['connection.test'],
          'connection.edit': ['connection.create', 'connection.update', 'connection.delete'],
          'rows.see': [],
        }[right],
      );
    }
  });
});
