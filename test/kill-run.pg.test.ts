import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';

/** A busy machine takes its time over that many kills. */
const TIMEOUT_MS = 240_000;

it.for([
  ['fault-copy.ts', 'the full copy', 'npm run faults:copy', 'identical after 10 kills'],
  [
    'fault-rolling.ts',
    'a copy beside the stream',
    'npm run faults:rolling',
    'identical after 6 disturbances',
  ],
  ['fault-apply.ts', 'the stream', 'npm run faults:apply', 'identical after 5 kills and 5 freezes'],
] as const)(
  '%s: survives kill -9, and freezes, at random moments of %s (short form of %s)',
  { timeout: TIMEOUT_MS },
  async ([script, _, __, says]) => {
    const path = fileURLToPath(new URL(`../scripts/${script}`, import.meta.url));
    const child = spawn(process.execPath, [path, '--quick'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (text) => (output += String(text)));
    child.stderr.on('data', (text) => (output += String(text)));
    // In time for what it said to be seen.
    const timer = setTimeout(() => child.kill('SIGTERM'), TIMEOUT_MS - 10_000);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    expect(output).toContain(says);
    expect(code).toBe(0);
  },
);
