import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isTemporaryName } from '../../../image/atomic-file.ts';

/** No encoding takes as long. Younger files may belong to another server, or to a running `liif encode`. */
const STALE_MS = 6 * 3_600_000;

/**
 * Removes temporary files that killed encodings left in a directory. Resolves with their number; never
 * rejects.
 */
export async function removeUnfinished(directory: string): Promise<number> {
  let removed = 0;
  for (const name of await readdir(directory).catch(() => [])) {
    if (!isTemporaryName(name)) continue;
    const path = join(directory, name);
    try {
      if (Date.now() - (await stat(path)).mtimeMs < STALE_MS) continue;
      await rm(path);
      removed++;
    } catch {
      // Another process has removed it, or it belongs to another user.
    }
  }
  return removed;
}
