/** Long texts, written while they are made: as a whole they are held nowhere. */
import type { Output } from '../context.ts';

const AT_ONCE = 64 * 1024;

export function writeParts(output: Output, parts: Iterable<string>): void {
  let waiting = '';
  for (const part of parts) {
    waiting += part;
    if (waiting.length < AT_ONCE) continue;
    output.write(waiting);
    waiting = '';
  }
  if (waiting !== '') output.write(waiting);
}
