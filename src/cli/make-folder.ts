import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { OutputError } from '../image/errors.ts';

/**
 * Makes a folder, and the folders that it lies in. Rejects with the error of `mkdir`, or with OutputError. `recursive` of `mkdir` is not used: in a file system
 * that makes no folders, such as /proc, it tries without end in Node 20.
 */
export async function makeFolder(path: string): Promise<void> {
  const missing: string[] = [];
  let existing = resolve(path);
  for (; !existsSync(existing) && dirname(existing) !== existing; existing = dirname(existing))
    missing.unshift(existing);
  for (const folder of missing)
    await mkdir(folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EEXIST') return; // another process was faster
      if (cause.code !== 'ENOENT') throw cause;
      throw new OutputError(`${path}: cannot be written: no folder can be made in ${dirname(folder)}`, {
        cause,
      });
    });
}
