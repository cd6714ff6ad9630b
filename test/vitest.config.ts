import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT;

/**
 * Tests of functions: they change nothing that others see, so one process may run them one after the other.
 */
const SHARING = [
  'test/{container,entropy,head,metrics,model,network,pixels,quantize}/**/*.test.ts',
  'test/image/{alpha,color,metadata}/**/*.test.ts',
  'test/image/{heic,raster,read,reduce,turns}.test.ts',
  'test/features/leased-cache.test.ts',
  'test/train/pictures/*.test.ts',
  'test/train/{optimizer,picture-error,run-state,step-clock}.test.ts',
  'test/{errors,file-url,given,hexadecimal,join-bytes,make-directory,on-abort}.test.ts',
];

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...SHARING],
        },
      },
      // Most of what these take is the start of a process and the loading of modules.
      { extends: true, test: { name: 'sharing', include: SHARING, isolate: false } },
    ],
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
