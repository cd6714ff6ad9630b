const ends: (() => unknown)[] = [];

/**
 * Calls `end` after the tests of the file that runs. Vitest does not hear of hooks that tests add while they run,
 * nor of those of a module that an earlier file of the process has loaded.
 */
export function afterThisFile(end: () => unknown): void {
  ends.push(end);
}

/** Ends what the file has begun, the last first: servers, and then the directories they serve. */
export async function endFile(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}
