import { readFileSync } from 'node:fs';

/** More connections than the queues can hold would only cost memory. */
const MOST_CONNECTIONS = 10_000;
/** Files reserved beside connections: pictures, tiles of the disk cache, directories. */
const OTHER_FILES = 256;

/**
 * Most connections of a server, given the files that the process may open. Some files are left for pictures,
 * or idle connections could make them fail.
 */
export function mostConnections(files = mostFiles()): number {
  return Math.min(MOST_CONNECTIONS, Math.max(Math.ceil(files / 2), files - OTHER_FILES));
}

/** Files and connections that this process may have open; infinite where the system does not say. */
function mostFiles(): number {
  try {
    const [, most] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return most === undefined ? Number.POSITIVE_INFINITY : Number(most);
  } catch {
    return Number.POSITIVE_INFINITY; // not Linux
  }
}
