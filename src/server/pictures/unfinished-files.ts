import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isTemporaryName } from '../../image/atomic-file.ts';

/** No encoding takes as long; of another server, or of `liif encode`, one may be under way. */
const STALE_MS = 6 * 3_600_000;

/** Removes what encodings into a directory have left there whose process was killed. Resolves with how many there were; never rejects. */
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
      // Somebody else has removed it, or it is not ours to remove.
    }
  }
  return removed;
}
