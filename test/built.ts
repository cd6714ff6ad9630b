import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Whether `dist/`, or what counts of it, is what the sources of these folders are built to: it is after `npm ci`,
 * and is not after an edit.
 */
export function isBuilt(folders: readonly string[], what = 'dist/cli/liif.js'): boolean {
  const built = ['dist/cli/liif.js', 'dist/model/liif-1.safetensors', 'dist/viewer/index.html'].map((path) =>
    join(root, path),
  );
  if (!built.every((path) => existsSync(path))) return false;
  const { mtimeMs } = statSync(join(root, what));
  return folders.every((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true }).every(
      (entry) => !entry.isFile() || statSync(join(entry.parentPath, entry.name)).mtimeMs <= mtimeMs,
    ),
  );
}
