import { TileError } from './tile-source.ts';

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/**
 * Milliseconds to wait after so many failures, at least one: longer each time, and no less than the server
 * asks for.
 */
export function retryDelay(error: unknown, failures: number): number {
  const wanted = error instanceof TileError ? error.retryAfterMs : undefined;
  // Spread at random: all clients at once would fill the server again.
  const wait = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
  return Math.max(wanted ?? 0, wait);
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
