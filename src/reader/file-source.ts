import { type FileHandle, open } from 'node:fs/promises';
import { SourceError } from '../errors.ts';
import type { Source } from './source.ts';

/**
 * A file on disk, which stays open until `close`. Rejects with SourceError when it cannot be opened or is no
 * file. When another file takes its name, reads go on in the file that was opened; when it is written over,
 * they reject with SourceError (`changed`).
 */
export async function fileSource(path: string): Promise<Source> {
  const failed = (cause: unknown) => new SourceError(`${path}: ${reasonOf(cause)}`, { cause });
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    throw failed(cause);
  }
  const opened = await handle.stat();
  if (!opened.isFile()) {
    await handle.close();
    throw new SourceError(
      `${path}: ${opened.isDirectory() ? 'is a directory; name a file in it' : 'not a file'}`,
    );
  }
  const source: Source = {
    name: path,
    size: opened.size,
    async getBytes(offset, length, signal) {
      signal?.throwIfAborted();
      const wanted = Math.max(0, Math.min(length, opened.size - offset));
      const bytes = new Uint8Array(wanted);
      let filled = 0;
      try {
        while (filled < wanted) {
          // The file handles of Yarn's Plug'n'Play accept a plain Uint8Array only in this form.
          const { bytesRead } = await handle.read({
            buffer: bytes,
            offset: filled,
            length: wanted - filled,
            position: offset + filled,
          });
          if (bytesRead === 0) break;
          filled += bytesRead;
          signal?.throwIfAborted();
        }
        // A CRC would notice bytes of two versions, but report a damaged file.
        const now = await handle.stat();
        if (filled < wanted || now.size !== opened.size || now.mtimeMs !== opened.mtimeMs)
          throw new SourceError(`${path}: changed since it was opened`, { code: 'changed' });
      } catch (cause) {
        signal?.throwIfAborted();
        throw cause instanceof SourceError ? cause : failed(cause);
      }
      return bytes;
    },
    async expectUnchanged(signal) {
      // Reading no bytes compares size and time, too.
      await source.getBytes(0, 0, signal);
    },
    close: () => handle.close(),
  };
  return source;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  EMFILE: 'too many open files',
  EBADF: 'has been closed',
};

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}
