/** The short form of a fault run of scripts/, as a test: `npm run faults:… -- --quick`. */
import { spawn } from 'node:child_process';
import { expect } from 'vitest';
import { fileURLToPath } from 'node:url';

/** A busy machine takes its time over that many kills. */
export const FAULTS_MS = 240_000;

/** It ends well, and says so. */
export async function expectFaultsSurvived(name: string, says: string): Promise<void> {
  const path = fileURLToPath(new URL(`../scripts/fault-${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [path, '--quick'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  // In time for what it said to be seen.
  const timer = setTimeout(() => child.kill('SIGTERM'), FAULTS_MS - 10_000);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  expect(output).toContain(says);
  expect(code).toBe(0);
}
