import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/**
 * Leaves out files whose bytes an earlier file has: a picture that is learned from under one name must not be
 * held out under another. Files that cannot be read stay; opening them will say why. Rejects with the
 * signal's reason.
 */
export async function withoutCopies(paths: readonly string[], signal?: AbortSignal): Promise<string[]> {
  const bySize = new Map<number, string[]>();
  for (const path of paths) {
    const size = await sizeOf(path);
    if (size === undefined) continue;
    const alike = bySize.get(size);
    if (alike) alike.push(path);
    else bySize.set(size, [path]);
  }
  const copies = new Set<string>();
  for (const alike of bySize.values()) {
    if (alike.length === 1) continue;
    const seen = new Set<string>();
    for (const path of alike) {
      const hash = await hashOf(path, signal);
      if (hash === undefined) continue;
      if (seen.has(hash)) copies.add(path);
      seen.add(hash);
    }
  }
  return paths.filter((path) => !copies.has(path));
}

/** Undefined for a pipe, which can be read only once, and for a missing file. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

/** Undefined where the file cannot be read. */
async function hashOf(path: string, signal?: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash, { signal });
    return hash.digest('hex');
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}
