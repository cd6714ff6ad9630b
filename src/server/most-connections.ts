import { readFileSync } from 'node:fs';

/** Connections beyond what the queues can hold only cost memory. */
const MOST_CONNECTIONS = 10_000;
/** Files that may be open beside connections: pictures, tiles of the disk cache, directories that are read. */
const OTHER_FILES = 256;

/** Connections that a server accepts: so many that files can still be opened, or whoever opens connections and leaves them idle would make pictures fail. */
export function mostConnections(files = mostFiles()): number {
  return Math.min(MOST_CONNECTIONS, Math.max(Math.ceil(files / 2), files - OTHER_FILES));
}

/** Files and connections that the system lets this process have open; infinite where it does not say. */
function mostFiles(): number {
  try {
    const [, most] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return most === undefined ? Number.POSITIVE_INFINITY : Number(most);
  } catch {
    return Number.POSITIVE_INFINITY; // not Linux
  }
}
