/** Where lines of the audit log go: a file, opened anew each time, so that whoever rotates it may move it away. */
import { open, type FileHandle } from 'node:fs/promises';

export interface AuditSink {
  /** Returns when the lines are safe there. */
  write(lines: string): Promise<void>;
}

export function fileSink(path: string): AuditSink {
  return {
    write: async (lines) => {
      await using file = await open(path, 'a+', 0o600);
      const facts = await file.stat();
      const isTorn = facts.size > 0 && !(await endsWithLine(file, facts.size));
      await file.appendFile(isTorn ? `\n${lines}` : lines);
      // Of a pipe nothing could be kept.
      if (facts.isFile()) await file.datasync();
    },
  };
}

/** A crash may have left a line without its end. */
async function endsWithLine(file: FileHandle, size: number): Promise<boolean> {
  const { buffer } = await file.read({ buffer: Buffer.alloc(1), position: size - 1 });
  return buffer[0] === 0x0a;
}
