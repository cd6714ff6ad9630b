import { describe, expect, it, vi } from 'vitest';
import type { ChunkId } from '../../src/container/chunks.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { decodedChunks, LatentStore } from '../../src/features/latents.ts';
import { maxChunkBytes, symbolCount } from '../../src/network/chunk-size.ts';
import { parseModel } from '../../src/network/load.ts';
import { cut, whole } from '../../src/network/window.ts';
import { memorySource } from '../../src/reader/memory-source.ts';
import { openReader, type Reader } from '../../src/reader/reader.ts';
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

  /**
   * A file of 2 x 2 chunks and an overview of one, two planes each. All latents of a chunk are the file's
   * number and the chunk's level and plane.
   */
  function fileOf(file: number) {
    const asked: (AbortSignal | undefined)[] = [];
    const reader = {
      header: {
        width: 160,
        height: 144,
        alpha: true,
        quality: 60,
        chunkSize: 8,
        levels: 2,
        overviewFactor: 4,
      },
      entries: { at: () => ({ byteOffset: 0, length: 16 }) },
      readChunk: async ({ level, plane }: ChunkId, signal?: AbortSignal) => {
        asked.push(signal);
        return Uint8Array.of(100 * file + 10 * level + plane);
      },
      located: (_id: ChunkId, error: unknown) => error,
    } as unknown as Reader;
    const decodeChunk: Engine['decodeChunk'] = async ([value], { height, width }) =>
      new Int16Array(height * width * engine.model.latentChannels).fill(value!);
    return { reader, asked, engine: { ...engine, decodeChunk } };
  }

  it('tells files, levels and planes apart in a cache that several files share', async () => {
    const cache = decodedChunks(2 ** 20);
    const corner = { top: 0, left: 0, height: 1, width: 1 };
    const found: number[] = [];
    for (const file of [1, 2]) {
      const { reader, engine } = fileOf(file);
      const store = new LatentStore(reader, engine, cache, String(file));
      for (const [level, plane] of [
        [0, 0],
        [0, 1],
        [1, 0],
      ] as const)
        found.push((await store.read(level, plane, corner)).data[0]!);
    }
    expect(found).toEqual([100, 101, 110, 200, 201, 210]);
  });

  it('asks for all chunks of a window at once, and stops reading and decoding them when its caller gives up', async () => {
    const { reader, asked, engine } = fileOf(1);
    const all = whole({ height: 9, width: 10 });
    const decodes: (AbortSignal | undefined)[] = [];
    const decodeChunk: Engine['decodeChunk'] = (_bytes, _chunk, _quality, signal) => {
      decodes.push(signal);
      return new Promise(() => {});
    };
    const controller = new AbortController();
    const cache = decodedChunks(2 ** 20);
    const store = new LatentStore(reader, { ...engine, decodeChunk }, cache);
    const reading = store.read(0, 0, all, controller.signal);
    await new Promise((resolve) => setImmediate(resolve));
    expect([asked.length, decodes.length]).toEqual([4, 4]);
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    expect([...asked, ...decodes].map((signal) => signal?.aborted)).toEqual(Array(8).fill(true));
  });

  it('lets its caller stop the features that it asks for', async () => {
    const { reader, engine } = fileOf(1);
    const features = vi.fn<Engine['features']>();
    const store = new LatentStore(reader, { ...engine, features }, decodedChunks(2 ** 20));
    const { signal } = new AbortController();
    const sites = { top: 0, left: 0, height: 1, width: 1 };
    await store.features(0, 0, sites, signal);
    expect(features).toHaveBeenCalledWith(expect.anything(), { height: 9, width: 10 }, sites, 60, signal);
  });
});
