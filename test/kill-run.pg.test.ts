import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';

/** A busy machine takes its time over that many kills. */
const TIMEOUT_MS = 240_000;

it.for([
  { name: 'copy', where: 'the full copy', says: 'identical after 10 kills' },
  { name: 'rolling', where: 'a copy beside the stream', says: 'identical after 6 disturbances' },
  { name: 'apply', where: 'the stream', says: 'identical after 5 kills and 5 freezes' },
])(
  'survives kill -9, and freezes, at random moments of $where (short form of npm run faults:$name)',
  { timeout: TIMEOUT_MS },
  async ({ name, says }) => {
    const path = fileURLToPath(new URL(`../scripts/fault-${name}.ts`, import.meta.url));
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
