import { SourceError } from '../errors.ts';
import type { Source } from './source.ts';

/** A Blob, or a File that was dropped into a page: read by ranges, never as a whole. */
export function blobSource(blob: Blob, name = 'name' in blob ? String(blob.name) : 'blob'): Source {
  const source: Source = {
    name,
    size: blob.size,
    async getBytes(offset, length, signal) {
      signal?.throwIfAborted();
      let bytes: ArrayBuffer;
      try {
        bytes = await blob.slice(offset, offset + length).arrayBuffer();
      } catch (cause) {
        // The messages of browsers do not name the likely reason.
        throw new SourceError(
          `${name}: cannot be read; if it has changed or moved since it was chosen, choose it again (${(cause as Error).message})`,
          { cause },
        );
      }
      signal?.throwIfAborted();
      return new Uint8Array(bytes);
    },
    async expectUnchanged(signal) {
      await source.getBytes(0, 1, signal);
    },
    async close() {},
  };
  return source;
}
