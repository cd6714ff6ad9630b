import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { glob } from 'tinyglobby';
import { RequestError, SourceError } from '../errors.ts';
import { expandInputs, IGNORED, isUrl, placeOf, STANDARD } from './inputs.ts';

/** Files that a folder stands for. */
interface Wanted {
  readonly pattern: string;
  readonly name: string;
}

export const IMAGES: Wanted = {
  pattern: '**/*.{jpg,jpeg,png,webp,avif,tif,tiff,heic,heif,gif}',
  name: 'images',
};
export const PICTURES: Wanted = { pattern: '**/*.liif', name: '.liif files' };

/**
 * Like `expandInputs`, for local files: a folder stands for all that are wanted below it, except those in
 * `node_modules`. Each file is listed once, whatever paths and links lead to it.
 */
export async function expandFolders(args: readonly string[], { pattern, name }: Wanted): Promise<string[]> {
  const found = new Map<string, string>();
  const add = async (path: string) => {
    const place = placeOf(await realpath(path).catch(() => path));
    if (!found.has(place)) found.set(place, path);
  };
  for (const input of await expandInputs(args)) {
    if (input === STANDARD || isUrl(input)) throw new RequestError(`${input}: expected files or folders`);
    if (!(await isFolder(input))) {
      await add(input);
      continue;
    }
    const inside = await glob(pattern, { cwd: input, caseSensitiveMatch: false, ignore: IGNORED });
    if (inside.length === 0) throw new SourceError(`${input}: there are no ${name} in this folder`);
    for (const path of inside.sort()) await add(join(input, path));
  }
  return [...found.values()];
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw new SourceError(
      `${path}: ${(cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (cause as Error).message}`,
      { cause },
    );
  }
}
