import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT;

/**
 * Tests that look at the whole process, as at its memory, that leave something in it, as engines of graphics cards
 * and TensorFlow do, or that replace modules before any other test has loaded them.
 */
const ALONE = [
  'test/cli/{interruption,several}.test.ts',
  'test/engine/{auto,open-browser-engine}.test.ts',
  'test/engine/{tensorflow,webgpu}/*.test.ts',
  'test/image/atomic-file.test.ts',
  'test/reader/{file-source,hostile}.test.ts',
  'test/server/{config,metrics,connections/connections,http/hostile,http/overload/overload-gate}.test.ts',
  'test/server/pictures/catalog/directory-watches.test.ts',
  'test/train/compare-models.test.ts',
];

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      // A process runs many of these: most of what one takes is its start and the loading of modules.
      {
        extends: true,
        test: {
          name: 'sharing',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...ALONE],
          isolate: false,
        },
      },
    ],
    setupFiles: ['test/setup.ts'],
    pool: 'forks',
    // On two processors vitest would take one, and wait with each test for browsers and timers. Of three files one
    // waits, for a server's next try or for processes that it has started.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    // Other programs may leave these tests a fraction of the processors.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
  },
});
