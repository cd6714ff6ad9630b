import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { glob } from 'tinyglobby';
import { RequestError, SourceError } from '../errors.ts';
import { expandInputs, IGNORED, isUrl, STANDARD } from './inputs.ts';

const IMAGES = '**/*.{jpg,jpeg,png,webp,avif,tif,tiff,heic,heif,gif}';

/** `expandInputs` for image files alone, where folders stand for all images in them, those of folders in them included, but for `node_modules`. */
export async function expandFolders(args: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const input of await expandInputs(args)) {
    if (input === STANDARD || isUrl(input)) throw new RequestError(`${input}: expected files or folders`);
    if (!(await isFolder(input))) {
      found.add(input);
      continue;
    }
    const inside = await glob(IMAGES, { cwd: input, caseSensitiveMatch: false, ignore: IGNORED });
    if (inside.length === 0) throw new SourceError(`${input}: there are no images in this folder`);
    for (const name of inside.sort()) found.add(join(input, name));
  }
  return [...found];
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
