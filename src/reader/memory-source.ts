import type { Source } from './source.ts';

/** Bytes that are in memory already. They are not copied: leave them as they are while the source is open. */
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
