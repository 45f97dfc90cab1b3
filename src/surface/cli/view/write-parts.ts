/** Long texts, written while they are made and as fast as they are taken: as a whole they are held nowhere. */
import type { Output } from '../context.ts';

const AT_ONCE = 64 * 1024;

export async function writeParts(output: Output, parts: Iterable<string>): Promise<void> {
  let waiting = '';
  for (const part of parts) {
    waiting += part;
    if (waiting.length < AT_ONCE) continue;
    await taken(output, waiting);
    waiting = '';
  }
  if (waiting !== '') await taken(output, waiting);
}

/** Also where nobody takes it any more. */
export function taken(output: Output, text: string): Promise<void> {
  return new Promise((resolve) => output.write(text, () => resolve()));
}
