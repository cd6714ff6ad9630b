import { describe, expect, it, vi } from 'vitest';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { decodedChunks, LatentStore } from '../../src/features/latents.ts';
import { maxChunkBytes, symbolCount } from '../../src/network/chunk-size.ts';
import { parseModel } from '../../src/network/load.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { openReader } from '../../src/reader/reader.ts';
import { noise, sampleFile } from '../container/sample-file.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const engine = openReferenceEngine(parseModel(tinyModelBytes()));

describe('a store of latents', () => {
  it('refuses a chunk that is longer than its symbols can need before it reads it', async () => {
    const limit = maxChunkBytes(symbolCount(engine.model, { height: 3, width: 2 }));
    for (const length of [limit, limit + 2, 10 * limit]) {
      const fields = { width: 20, height: 40, alpha: false, levels: 1 };
      const { bytes, firstChunk } = sampleFile({ fields, chunks: [noise(length, 1)], sections: [] });
      const reader = await openReader(memorySource(bytes));
      const reads = vi.spyOn(reader, 'readChunk');
      const store = new LatentStore(reader, engine, decodedChunks(2 ** 20));
      const error = await store
        .read(0, 0, { top: 1, left: 0, height: 1, width: 1 })
        .catch((reason: unknown) => reason);
      expect(error).toMatchObject({ _tag: 'FormatError', section: 'chunk' });
      if (length > limit) {
        expect(error).toMatchObject({ byteOffset: firstChunk });
        expect(String(error)).toContain(`${limit}`);
        expect(reads).not.toHaveBeenCalled();
      } else expect(reads).toHaveBeenCalledTimes(1);
    }
  });
});
