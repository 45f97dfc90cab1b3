/** Hours of every day in which a task spares its servers. */
import { z } from 'zod';
import { taskSettings } from './task-spec.ts';

const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write an hour and minute such as 08:30');

export const blackoutWindow = z
  .strictObject({
    from: clock,
    to: clock.describe('Up to this minute; on the next day where it is not later than `from`'),
    timeZone: z.string().refine(isTimeZone, 'write a time zone such as Europe/Berlin'),
    throttle: taskSettings.shape.throttle,
    streamThrottle: taskSettings.shape.streamThrottle,
  })
  .refine(
    ({ throttle, streamThrottle }) => Object.keys({ ...throttle, ...streamThrottle }).length > 0,
    'a window needs a limit',
  );
export type BlackoutWindow = z.infer<typeof blackoutWindow>;

function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
