import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { DECODER_HASHES, RELEASED_DECODER_HASH } from '../../src/model/decoder-hashes.ts';
import { decoderHashOf, loadDecoderModel } from '../../src/network/decoder-model.ts';
import { loadModel } from '../../src/network/load.ts';
import { tinyModelBytes, writeSafetensors } from '../fixtures/tiny-model.ts';

const file = tinyModelBytes({ seed: 8 });

it('knows the decoder hash of the released model', async () => {
  const bytes = await readFile(new URL('../../src/model/liif-1.safetensors', import.meta.url));
  const { hash } = await loadModel(bytes);
  expect(DECODER_HASHES.get(hash)).toBe(await decoderHashOf(bytes));
});

it('asks for a large model in pieces of 1 MiB, four of them at a time', async () => {
  const bytes = await readFile(new URL('../../src/model/liif-1.safetensors', import.meta.url));
  const atOnce: number[] = [];
  let running = 0;
  let largest = 0;
  await loadDecoderModel(
    async (offset, length) => {
      atOnce.push(++running);
      largest = Math.max(largest, length);
      await new Promise(setImmediate);
      running--;
      return bytes.subarray(offset, offset + length);
    },
    { decoderHash: RELEASED_DECODER_HASH },
  );
  expect([Math.max(...atOnce), largest]).toEqual([4, 2 ** 20]);
});

it('reads the tensors of the decoder, and nothing of those that only encoders need', async () => {
  const decoderHash = await decoderHashOf(file);
  const model = await loadDecoderModel(
    async (offset, length) => {
      return file.subarray(offset, offset + length);
    },
    { decoderHash },
  );
  const whole = await loadModel(file);
  expect(model).toEqual({ ...whole, analysis: [], hyperAnalysis: [] });
});

it('refuses a file in which a byte that decoding needs has changed, and the file of another model', async () => {
  const decoderHash = await decoderHashOf(file);
  const damaged = file.slice();
  damaged[damaged.length - 1]! ^= 1;
  for (const bytes of [damaged, tinyModelBytes({ seed: 9 })])
    await expect(
      loadDecoderModel(async (offset, length) => bytes.subarray(offset, offset + length), { decoderHash }),
    ).rejects.toMatchObject({ _tag: 'FormatError', section: 'model' });
});

it('takes weights from the cache without reading, unless they have changed there', async () => {
  const decoderHash = await decoderHashOf(file);
  const kept = new Map<string, Uint8Array>();
  let reads = 0;
  const load = () =>
    loadDecoderModel(
      async (offset, length) => {
        reads++;
        return file.subarray(offset, offset + length);
      },
      {
        decoderHash,
        cache: {
          get: async (key) => kept.get(key),
          put: async (key, part) => void kept.set(key, part.slice()),
        },
      },
    );
  const first = await load();
  const before = reads;
  expect(await load()).toEqual(first);
  expect(reads).toBe(before);
  kept.get(decoderHash)![100]! ^= 1;
  expect(await load()).toEqual(first);
  expect(reads).toBeGreaterThan(before);
});

it('says where a file ends too early', async () => {
  const ends = async (length: number) => {
    const bytes = file.subarray(0, length);
    const loading = loadDecoderModel(async (offset, count) => bytes.subarray(offset, offset + count), {
      decoderHash: 'a'.repeat(64),
    });
    return loading.catch(({ byteOffset, reason }) => [byteOffset, reason]);
  };
  expect(await ends(100)).toEqual([100, 'the file ends within its header']);
  const short = file.length - 1;
  expect(await ends(short)).toEqual([short, 'the file ends within its tensors']);
});

it('reads no more than 64 KiB for nothing, tells how far it is, and can be stopped', async () => {
  const listing = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = new Uint8Array(8 + 100_000).fill(0x20);
  header.set(file.subarray(0, 8 + listing));
  new DataView(header.buffer).setBigUint64(0, 100_000n, true);
  const bytes = Buffer.concat([header, file.subarray(8 + listing)]);
  const reads: unknown[] = [];
  const progress: [number, number][] = [];
  const { signal } = new AbortController();
  await loadDecoderModel(
    async (offset, length, given) => {
      if (offset < header.length) reads.push([offset, length]);
      expect(given).toBe(signal);
      return bytes.subarray(offset, offset + length);
    },
    {
      decoderHash: await decoderHashOf(bytes),
      signal,
      onProgress: (...counts) => progress.push(counts),
    },
  );
  expect(reads).toEqual([
    [0, 65_536],
    [65_536, header.length - 65_536],
  ]);
  const total = progress.at(-1)![1];
  expect(progress.at(0)).toEqual([header.length, total]);
  expect(progress.at(-1)).toEqual([total, total]);
  // Tensors that touch are read as one.
  expect(progress.length).toBeLessThan(10);
});

it('refuses a graph that nests deep with the words of a whole model', async () => {
  const deep = tinyModelBytes({
    change: ({ metadata, graph }) => {
      metadata.graph = JSON.stringify(graph).replace(
        '{',
        `{"own":${'['.repeat(20_000)}${']'.repeat(20_000)},`,
      );
    },
  });
  await expect(decoderHashOf(deep)).rejects.toMatchObject({
    _tag: 'FormatError',
    reason: 'the graph nests more than 100 deep',
  });
});

it('refuses a listing of more than a model may have before it reads, or has room for, any of that', async () => {
  const half = { dtype: 'I32', shape: [2 ** 25] };
  const bytes = writeSafetensors(
    {
      __metadata__: { graph: '{"head":["a","b"]}' },
      a: { ...half, data_offsets: [0, 2 ** 27] },
      b: { ...half, data_offsets: [2 ** 27, 2 ** 28] },
    },
    [],
  );
  let reads = 0;
  const loading = loadDecoderModel(
    async (offset, length) => {
      reads++;
      return bytes.subarray(offset, offset + length);
    },
    { decoderHash: 'a'.repeat(64) },
  );
  await expect(loading).rejects.toMatchObject({
    _tag: 'FormatError',
    reason: expect.stringMatching(/^tensors up to byte \d+, beyond 268435456$/),
  });
  expect(reads).toBe(1);
});
