import { expect } from 'vitest';

/** Bounds on what decoding a hostile file may take, checked on the way. */

const MAX_MEMORY = 256 * 2 ** 20;

/** Runs a test, and fails if it raises the peak memory of the process by more than 256 MiB. */
export async function withinMemory(test: () => Promise<void>): Promise<void> {
  const before = process.resourceUsage().maxRSS;
  await test();
  expect((process.resourceUsage().maxRSS - before) * 1024).toBeLessThan(MAX_MEMORY);
}

/**
 * Resolves or rejects as `work` does, and fails if that took more processor time. Not time by the clock:
 * other programs may hold the processor.
 */
export async function withinTime<T>(milliseconds: number, work: () => Promise<T>): Promise<T> {
  const start = process.cpuUsage();
  try {
    return await work();
  } finally {
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000).toBeLessThan(milliseconds);
  }
}
