import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT;

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // On two processors vitest would take one, and wait with each test for browsers and timers.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Worker threads started by the code under test load TypeScript sources.
    execArgv: ['--import', 'tsx'],
    // Other programs may leave these tests a fraction of the processors.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
  },
});
