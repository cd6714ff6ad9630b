import { afterAll, vi } from 'vitest';
import { endFile } from './after-file.ts';

// What a file has changed is as it was for the next one of the process.
afterAll(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.resetConfig();
  await endFile();
});
