import type { Source } from './source.ts';

/** A file in memory. Its bytes are not copied: do not change them while the source is open. */
export function memorySource(bytes: Uint8Array, name = 'memory'): Source {
  return {
    name,
    size: bytes.length,
    async getBytes(offset, length, signal) {
      signal?.throwIfAborted();
      return bytes.subarray(offset, offset + length);
    },
    async close() {},
  };
}
