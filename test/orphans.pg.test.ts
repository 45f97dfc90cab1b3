import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { startEmbedded } from '../src/base/embedded/server.ts';
import { isRunning, processMark } from '../src/base/runtime/process-mark.ts';

it('ends the embedded server of a maker that was killed when the next one starts, and leaves a kept one alone', async () => {
  const make = async (keeps: boolean) => {
    const script = `import { startEmbedded } from '${new URL('../src/base/embedded/server.ts', import.meta.url).href}';
      const server = await startEmbedded({ major: 18 }); ${keeps ? 'server.keep();' : ''}
      process.stdout.write(JSON.stringify({ folder: server.folder, pid: server.pid }), () => process.kill(process.pid, 'SIGKILL'));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (text) => (output += String(text)));
    await once(child, 'close');
    const server = JSON.parse(output) as { folder: string; pid: number };
    return { ...server, mark: processMark(server.pid) };
  };
  const [orphan, kept] = [await make(false), await make(true)];
  expect(isRunning(kept.mark)).toBe(true);
  const next = await startEmbedded({ major: 18 });
  await next.remove();
  expect(existsSync(orphan.folder)).toBe(false);
  // Told to end at once, it still needs a moment.
  await expect.poll(() => isRunning(orphan.mark), { timeout: 30_000 }).toBe(false);
  expect(isRunning(kept.mark)).toBe(true);
  process.kill(kept.pid, 'SIGQUIT');
  while (isRunning(kept.mark)) await new Promise((resolve) => setTimeout(resolve, 50));
  rmSync(kept.folder, { recursive: true, force: true });
});
