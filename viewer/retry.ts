import { TileError } from './tile-source.ts';

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/** Milliseconds until what has failed so many times, at least once, is asked for again: no sooner than its server says, and later each time. */
export function retryDelay(error: unknown, failures: number): number {
  const wanted = error instanceof TileError ? error.retryAfterMs : undefined;
  // Not all at once: a server that was full would be full again.
  const wait = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
  return Math.max(wanted ?? 0, wait);
}
