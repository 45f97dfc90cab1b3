import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';

it.each([
  ['fault-run.ts', 'copy and streaming under load', 'npm run faults', 'identical after 4 kills'],
  ['fault-copy.ts', 'the full copy', 'npm run faults:copy', 'identical after 10 kills'],
])('%s: survives kill -9 at random moments of %s (short form of %s)', async (script, _, __, says) => {
  const path = fileURLToPath(new URL(`../scripts/${script}`, import.meta.url));
  const child = spawn(process.execPath, [path, '--quick'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(output).toContain(says);
  expect(code).toBe(0);
});
