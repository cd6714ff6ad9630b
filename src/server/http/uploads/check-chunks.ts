import { chunkExtent, chunkList } from '../../../container/chunks.ts';
import { modelHash } from '../../../container/header.ts';
import { isLiifError } from '../../../errors.ts';
import { memorySource } from '../../../reader/memory-source.ts';
import { openReader } from '../../../reader/reader.ts';
import type { EngineHost } from '../../engines/engine-host.ts';
import { Problem } from '../../problem.ts';

export interface ChunkCheck {
  readonly engines: EngineHost;
  readonly signal: AbortSignal;
  /** Told how much is done, 0 .. 1. */
  readonly onProgress: (progress: number) => void;
}

/**
 * Time for all chunks of a file. Those left after it are not checked: a file may hold more than can be
 * decoded in a day.
 */
const MAX_MS = 60_000;

/**
 * Checks the chunks of a .liif as long as there is time. Each is decoded, because the checksums of a file
 * that is bad on purpose may be right. Rejects with Problem 415, with EngineError, and with the signal's
 * reason.
 */
export async function checkChunks(bytes: Uint8Array, name: string, options: ChunkCheck): Promise<void> {
  const { engines, signal, onProgress } = options;
  const until = performance.now() + MAX_MS;
  try {
    const reader = await openReader(memorySource(bytes, name), { signal });
    const { header, entries } = reader;
    for (const { type } of header.sections) await reader.readSection(type, signal);
    const { engine } = await engines.running(modelHash(header));
    let done = 0;
    // One at a time, so that clients who look at pictures get the engine meanwhile.
    for (const id of chunkList(header)) {
      if (performance.now() > until) break;
      const chunk = await reader.readChunk(id, signal);
      await engine.decodeChunk(chunk, chunkExtent(header, id), header.quality, signal);
      onProgress(++done / entries.length);
    }
  } catch (error) {
    if (!isLiifError(error, 'FormatError')) throw error;
    throw new Problem(415, 'damaged-file', 'The .liif is damaged: it cannot be decoded.', { cause: error });
  }
}
