/** What a snapshot taken beside the stream must see (data-plane I2). */
import { describe, expect, it } from 'vitest';
import { parseSnapshot } from '../change/snapshot.ts';
import { Intake } from './intake.ts';

describe('the intake of a stream', () => {
  it('asks a snapshot for every transaction received, however old the others are that still run', () => {
    const intake = new Intake(null);
    intake.received(150);
    intake.received(90);
    expect(intake.isSeenBy(parseSnapshot('50:200:50'))).toBe(true);
    // In the WAL already, but its commit waits for a standby.
    expect(intake.isSeenBy(parseSnapshot('100:200:150'))).toBe(false);
    expect(intake.isSeenBy(parseSnapshot('100:120:'))).toBe(false);
  });

  it('asks for all that an earlier run may have received, until a snapshot has seen it', () => {
    const intake = new Intake(100n);
    expect(intake.isSeenBy(parseSnapshot('99:120:99'))).toBe(false);
    expect(intake.isSeenBy(parseSnapshot('100:120:'))).toBe(true);
    intake.forget(parseSnapshot('99:120:99'));
    expect(intake.isSeenBy(parseSnapshot('99:120:99'))).toBe(false);
    intake.forget(parseSnapshot('100:120:'));
    expect(intake.isSeenBy(parseSnapshot('99:120:99'))).toBe(true);
  });

  it('forgets what all later snapshots see, and nothing else', () => {
    const intake = new Intake(null);
    for (const xid of [150, 160, 210]) intake.received(xid);
    intake.forget(parseSnapshot('100:200:160'));
    expect(intake.isSeenBy(parseSnapshot('100:220:150'))).toBe(true);
    expect(intake.isSeenBy(parseSnapshot('100:220:160'))).toBe(false);
    expect(intake.isSeenBy(parseSnapshot('100:210:'))).toBe(false);
  });

  it('forgets nothing while a snapshot is being taken, which may be older than what is seen meanwhile', () => {
    const intake = new Intake(null);
    intake.received(150);
    intake.shut();
    intake.forget(parseSnapshot('160:160:'));
    expect(intake.isSeenBy(parseSnapshot('150:160:150'))).toBe(false);
    intake.open();
    intake.forget(parseSnapshot('160:160:'));
    expect(intake.isSeenBy(parseSnapshot('150:160:150'))).toBe(true);
  });

  it('lets nothing pass while it is shut', async () => {
    const intake = new Intake(null);
    expect(intake.opening).toBeNull();
    intake.shut();
    const opening = intake.opening;
    expect(opening).not.toBeNull();
    intake.open();
    await opening;
    expect(intake.opening).toBeNull();
  });
});
