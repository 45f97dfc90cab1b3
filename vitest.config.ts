// Two projects: `unit` needs nothing, `pg` needs servers, which test/global-setup.ts starts and stops.
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { keepFilesInMemory } from './test/files-in-memory.ts';

keepFilesInMemory();

/** Long tests in short files begin first: where nothing is known of former runs files are sorted by size, and the last would run alone. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => /\/(kill|apply-faults-hang)[^/]*$/.test(moduleId);
    return Object.values(
      Object.groupBy(await super.sort(files), (file) => (isLong(file) ? '0' : '1')),
    ).flat();
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/*.pg.test.ts', '**/node_modules/**'],
        },
      },
      {
        test: {
          name: 'pg',
          include: ['src/**/*.pg.test.ts', 'test/**/*.pg.test.ts'],
          globalSetup: ['test/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 3,
        },
      },
    ],
  },
});
