/** Failpoints: they must hit where a test says, or say that they cannot. */
import { describe, expect, it } from 'vitest';
import { armFailpoint, FAILPOINTS } from './failpoint.ts';

/** Passes of `slot.after-create` until death, with other passes between them. */
function passesUntilDeath(spec: string): number {
  let dead = false;
  const failpoints = armFailpoint(spec, () => (dead = true));
  for (let pass = 1; pass <= 10; pass++) {
    failpoints.pass('copy.before-unit-commit');
    if (dead) throw new Error('died at another failpoint');
    failpoints.pass('slot.after-create');
    if (dead) return pass;
  }
  return Infinity;
}

describe('a failpoint', () => {
  it('hits at the first pass of its name, or at the Nth', () => {
    expect(passesUntilDeath('slot.after-create')).toBe(1);
    expect(passesUntilDeath('slot.after-create:1')).toBe(1);
    expect(passesUntilDeath('slot.after-create:4')).toBe(4);
  });

  it('hits once, so that what comes after the hit is not hit again', () => {
    let hits = 0;
    const failpoints = armFailpoint('slot.after-create:2', () => hits++);
    for (let pass = 0; pass < 5; pass++) failpoints.pass('slot.after-create');
    expect(hits).toBe(1);
  });

  it.each(['', 'slot', 'slot.after-creat', 'SLOT.AFTER-CREATE', ':1'])('is not %j', (spec) => {
    expect(() => armFailpoint(spec)).toThrow(/unknown failpoint .*slot\.after-create/);
  });

  it.each(['x', '', '0', '-1', '1.5', '2x'])('refuses the pass %j, at which it would never hit', (nth) => {
    expect(() => armFailpoint(`slot.after-create:${nth}`)).toThrow('pass');
  });

  it('kills or freezes, and refuses to do anything else', () => {
    expect(passesUntilDeath('slot.after-create:2:kill')).toBe(2);
    expect(passesUntilDeath('slot.after-create:2:freeze')).toBe(2);
    expect(() => armFailpoint('slot.after-create:2:frezee')).toThrow('neither kill nor freeze');
  });

  it('can be armed for every name of the list', () => {
    for (const name of FAILPOINTS) {
      let hit = false;
      armFailpoint(name, () => (hit = true)).pass(name);
      expect(hit).toBe(true);
    }
  });
});
