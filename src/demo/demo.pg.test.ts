import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runDemo } from './demo.ts';

describe('the demo', () => {
  let folder = '';
  // The servers' folders are made in the temporary folder: with one of our own we see what is left behind.
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'demo-'));
    chmodSync(folder, 0o755);
    vi.stubEnv('TMPDIR', folder);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  it('migrates the shop under load, finds both ends identical, and leaves nothing behind', async () => {
    const said: string[] = [];
    const result = await runDemo({
      keep: false,
      say: (line) => said.push(line),
      signal: new AbortController().signal,
      scale: 0.02,
      streamMs: 2000,
    });
    expect(said.join('\n')).toContain('Identical');
    expect(result.tables).toBeGreaterThanOrEqual(20);
    expect(result.rowsCopied).toBeGreaterThan(20_000n);
    expect(result.changesApplied).toBeGreaterThan(100n);
    expect(result.sequences).toBe(9);
    expect(result.servers).toBeNull();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves nothing behind when it is called off while the shop is under load', async () => {
    const abort = new AbortController();
    const running = runDemo({
      keep: true,
      say: (line) => {
        if (line.startsWith('Customers')) setTimeout(() => abort.abort(new Error('called off')), 1000);
      },
      signal: abort.signal,
      scale: 0.02,
    });
    await expect(running).rejects.toThrow('called off');
    expect(readdirSync(folder)).toEqual([]);
  });
});
