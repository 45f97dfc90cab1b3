import { describe, expect, it } from 'vitest';
import { withoutSetting } from './setting-ddl.ts';

describe('a statement in an error text', () => {
  it('is without the value of a setting, which may be a secret', () => {
    expect(withoutSetting(`ALTER DATABASE "a SET b" SET "app.key""x" TO 'secret\n TO x'`)).toBe(
      'ALTER DATABASE "a SET b" SET "app.key""x" TO …',
    );
    expect(withoutSetting(`ALTER ROLE "r" IN DATABASE "d" SET "app.key" TO 'a', 'b'`)).toBe(
      'ALTER ROLE "r" IN DATABASE "d" SET "app.key" TO …',
    );
    expect(withoutSetting(`ALTER ROLE "r" SET "a" TO 'secret SET "b" TO x'`)).toBe(
      'ALTER ROLE "r" SET "a" TO …',
    );
    const other = 'ALTER TABLE "t" ALTER "c" SET DATA TYPE "TO"';
    expect(withoutSetting(other)).toBe(other);
  });
});
