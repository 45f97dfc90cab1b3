/** `--blackout "08:00-18:00 Europe/Berlin max-megabytes=5"`: a window of every day, with the limits that hold in it. */
import { InvalidArgumentError, type Command } from 'commander';
import { blackoutWindow, type BlackoutWindow } from '../../../contract/blackout.ts';

/** As the options of the limits themselves. */
const LIMITS: Readonly<Record<string, readonly ['throttle' | 'streamThrottle', string]>> = {
  'max-megabytes': ['throttle', 'megabytes'],
  'max-rows': ['throttle', 'rows'],
  'max-queries': ['throttle', 'queries'],
  'max-stream-rows': ['streamThrottle', 'rows'],
  'max-stream-megabytes': ['streamThrottle', 'megabytes'],
};

export function withBlackout(command: Command): Command {
  return command.option(
    '--blackout <window...>',
    "create, configure: hours of every day in which lower limits hold, '08:00-18:00 Europe/Berlin max-megabytes=5 max-stream-rows=1000' ('': none)",
    (text: string, before: (BlackoutWindow | null)[] | undefined) => [...(before ?? []), parseWindow(text)],
  );
}

/** Null for nothing. */
function parseWindow(text: string): BlackoutWindow | null {
  if (text.trim() === '') return null;
  const [hours = '', timeZone = '', ...limits] = text.trim().split(/\s+/);
  const [from, to] = hours.split('-');
  const window: Record<'throttle' | 'streamThrottle', Record<string, number>> = {
    throttle: {},
    streamThrottle: {},
  };
  for (const limit of limits) {
    const [name = '', value = ''] = limit.split('=');
    const field = Object.hasOwn(LIMITS, name) ? LIMITS[name] : undefined;
    if (field === undefined)
      throw new InvalidArgumentError(`Limits are ${Object.keys(LIMITS).join(', ')}, each with =number.`);
    window[field[0]][field[1]] = Number(value);
  }
  const parsed = blackoutWindow.safeParse({ from, to, timeZone, ...window });
  if (!parsed.success)
    throw new InvalidArgumentError('Write hours, a time zone and limits: 22:00-06:00 UTC max-rows=1000.');
  return parsed.data;
}
