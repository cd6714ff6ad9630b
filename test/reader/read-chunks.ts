import type { ChunkId } from '../../src/container/chunks.ts';
import type { Reader } from '../../src/reader/reader.ts';

/** Several chunks, asked for at once: all, or the first failure. */
export function readChunks(
  reader: Reader,
  ids: readonly ChunkId[],
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  return Promise.all(ids.map((id) => reader.readChunk(id, signal)));
}
