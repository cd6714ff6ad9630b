import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SourceError } from '../../errors.ts';
import { Problem } from '../problem.ts';

export interface WholeFile {
  readonly bytes: Uint8Array;
  /** SHA-256, hex, of the word `image`, a line feed and all bytes. */
  readonly hash: string;
}

/** Bytes that are hashed in one turn of the event loop, in about a millisecond. */
export const HASHED_PIECE = 2 ** 19;

/**
 * Reads a plain image. Rejects with Problem 501 where it is larger than `maxBytes`, and with SourceError
 * where it cannot be read.
 */
export async function readWhole(path: string, maxBytes: number): Promise<WholeFile> {
  const handle = await open(path, 'r').catch((cause: Error) => {
    throw new SourceError(`${path}: ${cause.message}`, { cause });
  });
  try {
    const { size } = await handle.stat();
    if (size > maxBytes)
      throw new Problem(501, 'unsupported-file', `Plain images served here have at most ${maxBytes} bytes.`);
    const bytes = new Uint8Array(size);
    const hash = createHash('sha256').update('image\n');
    let length = 0;
    while (length < size) {
      const { bytesRead } = await handle.read(bytes, length, Math.min(HASHED_PIECE, size - length), length);
      // The file has been truncated since `stat`.
      if (bytesRead === 0) break;
      hash.update(bytes.subarray(length, length + bytesRead));
      length += bytesRead;
    }
    return { bytes: bytes.subarray(0, length), hash: hash.digest('hex') };
  } finally {
    await handle.close();
  }
}
