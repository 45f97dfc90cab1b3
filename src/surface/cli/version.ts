/** The version of the program. */
import { readFileSync } from 'node:fs';

/** package.json lies beside bin/, two levels above src/surface or dist/surface. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
