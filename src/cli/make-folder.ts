import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { unwritable } from '../image/atomic-file.ts';
import { OutputError } from '../image/errors.ts';
import { makeDirectory } from '../make-directory.ts';

/** Makes an output folder, and the folders that it lies in. Rejects with OutputError. */
export async function makeFolder(path: string): Promise<void> {
  if (existsSync(path)) return; // a drive of Windows, too, which `mkdir` refuses
  await makeDirectory(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw unwritable(path, cause);
    throw new OutputError(
      `${path}: cannot be written: no folder can be made in ${dirname(cause.path ?? path)}`,
      { cause },
    );
  });
}
