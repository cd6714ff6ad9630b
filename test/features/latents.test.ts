import { describe, expect, it, vi } from 'vitest';
import { encodeImage } from '../../src/encode.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { decodedChunks, LatentStore } from '../../src/features/latents.ts';
import { maxChunkBytes, symbolCount } from '../../src/network/chunk-size.ts';
import { parseModel } from '../../src/network/load.ts';
import { cut, whole } from '../../src/network/window.ts';
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

  it('gives a window over several chunks what it gives for the whole', async () => {
    const [width, height] = [160, 144];
    const data = Uint8Array.from({ length: width * height }, (_, i) => (i * i) >> 5);
    const bytes = await encodeImage(engine, { width, height, channels: 1, data }, { chunkSize: 8 });
    const reader = await openReader(memorySource(bytes));
    const store = new LatentStore(reader, engine, decodedChunks(2 ** 20));
    const level = whole({ height: 9, width: 10 });
    const all = await store.read(0, 0, level);
    expect(new Set(all.data).size).toBeGreaterThan(1);
    for (const rect of [
      { top: 3, left: 5, height: 6, width: 4 },
      { top: 8, left: 0, height: 1, width: 10 },
      { top: 0, left: 8, height: 8, width: 1 },
    ])
      expect(await store.read(0, 0, rect)).toEqual({
        ...all,
        rect,
        data: cut(all.data, level, rect, all.channels),
      });
  });
});
