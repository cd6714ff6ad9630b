import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { isLiifError } from '../../src/errors.ts';
import { hashModel, loadModel } from '../../src/network/load.ts';
import type { Model } from '../../src/network/model.ts';
import { noise, seeded } from '../container/sample-file.ts';
import { type ModelParts, tinyModelBytes, tinyModelParts, writeModel } from '../fixtures/tiny-model.ts';
import { withinMemory, withinTime } from './bounded.ts';

/**
 * Model files that are damaged, or made to do harm. Each is refused with a FormatError of section `model` or
 * with an UnsupportedError, or it loads and then decodes any bytes without harm.
 */

const options = { seed: 11, priorChannels: 8, hidden: 8 };
const whole = tinyModelBytes(options);
const jsonEnd = 8 + Number(new DataView(whole.buffer, whole.byteOffset).getBigUint64(0, true));
const MAX_LOAD_MS = 2000;

/** The model, or undefined if it is refused with one of the errors allowed. */
function outcome(bytes: Uint8Array): Promise<Model | undefined> {
  return withinTime(MAX_LOAD_MS, () =>
    loadModel(bytes).catch((error: unknown) => {
      if (isLiifError(error, 'UnsupportedError')) return undefined;
      expect(error).toMatchObject({ _tag: 'FormatError', section: 'model' });
      const { byteOffset } = error as { byteOffset: number };
      expect(byteOffset).toBeGreaterThanOrEqual(0);
      // A fault in the JSON is named by its first byte, 8, even in a file that ends before it.
      expect(byteOffset).toBeLessThanOrEqual(Math.max(8, bytes.length));
      return undefined;
    }),
  );
}

/**
 * Codes chunks, makes features and renders with a model that has loaded: none of it may throw or leave its
 * range.
 */
async function exercise(model: Model, seed: number): Promise<void> {
  const engine: Engine = openReferenceEngine(model);
  const chunk = { height: 3, width: 2 };
  for (const quality of [1, 100]) {
    const analysis = new Int16Array(chunk.height * chunk.width * model.latentChannels);
    const bytes = noise(2 * analysis.length, seed);
    for (let i = 0; i < analysis.length; i++)
      analysis[i] = ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!) % (model.latent.limit + 1);
    const encoded = await engine.encodeChunk(analysis, chunk, quality);
    expect(await engine.decodeChunk(encoded.bytes, chunk, quality)).toEqual(encoded.latents);
    const damaged = noise(60, seed + 1);
    await engine.decodeChunk(damaged, chunk, quality).catch((error: unknown) => {
      if (!isLiifError(error, 'FormatError')) throw error;
    });
    const rect = { top: 0, left: 0, ...chunk };
    const sites = { top: 5, left: 0, height: 3, width: 8 };
    const map = await engine.features(
      { rect, channels: model.latentChannels, data: encoded.latents },
      chunk,
      sites,
      quality,
    );
    const values = await map.read();
    expect(values.length).toBe(3 * 8 * model.head.hidden);
    for (const value of values) expect(Math.abs(value)).toBeLessThanOrEqual(model.head.limit);
    const axis = { index: Int32Array.of(5, 6), fraction: Int16Array.of(0, 16383), cell: 4096 };
    const columns = { ...axis, index: Int32Array.of(0, 3) };
    const [samples] = await engine.pixels(map, [{ rows: axis, columns, depth: 8 }]);
    expect(samples!.length).toBe(12);
    map.close();
  }
  await engine.close();
}

describe('a damaged model file', () => {
  it('is refused at every length up to the end of its listing, and at many beyond', () =>
    withinMemory(async () => {
      for (let length = 0; length < jsonEnd; length++)
        expect(await outcome(whole.slice(0, length)), `length ${length}`).toBeUndefined();
      const next = seeded(1);
      for (let round = 0; round < 200; round++) {
        const length = jsonEnd + Math.floor(next() * (whole.length - jsonEnd));
        expect(await outcome(whole.slice(0, length)), `length ${length}`).toBeUndefined();
      }
    }));

  it('is refused after any of 2,000 flips of a bit', () =>
    withinMemory(async () => {
      const next = seeded(2);
      const unnamed = { ...(await loadModel(whole)), name: '' };
      for (let round = 0; round < 2000; round++) {
        const changed = whole.slice();
        // Mostly in the listing: a flip in the data is only ever seen by the hash.
        const at = Math.floor(next() * (round % 10 === 0 ? whole.length : jsonEnd));
        changed[at]! ^= 1 << Math.floor(next() * 8);
        const model = await outcome(changed);
        // The name is not part of what is hashed, and the listing's spaces mean nothing.
        if (model) expect({ ...model, name: '' }).toEqual(unnamed);
      }
    }));
});

const HARMFUL: readonly unknown[] = [
  0,
  -1,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  16,
  24,
  25,
  30,
  31,
  32,
  33,
  64,
  255,
  256,
  4096,
  4104,
  32767,
  32768,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e308,
  -1e308,
  0.5,
  1.5,
  '',
  '1',
  'x',
  'head.bias',
  '__proto__',
  'constructor',
  null,
  true,
  false,
  [],
  {},
  [1],
  [[]],
  { op: 'conv' },
];

/** Places of all values in a JSON value: ways of keys. */
function places(value: unknown, way: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [way];
  const inner = Object.entries(value).flatMap(([key, item]) => places(item, [...way, key]));
  return way.length > 0 ? [way, ...inner] : inner;
}

function put(root: unknown, way: readonly string[], value: unknown): void {
  // biome-ignore lint/suspicious/noExplicitAny: a way through JSON of any shape.
  let place = root as any;
  for (const key of way.slice(0, -1)) place = place[key];
  place[way.at(-1)!] = value;
}

describe('a hostile model file whose hash is right', () => {
  it('is refused or harmless with any of 2,000 changes of its graph', () =>
    withinMemory(async () => {
      const next = seeded(3);
      const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
      const text = JSON.stringify(tinyModelParts(options).graph);
      const ways = places(JSON.parse(text));
      const parts = tinyModelParts(options);
      let loaded = 0;
      for (let round = 0; round < 2000; round++) {
        const graph = JSON.parse(text);
        if (next() < 0.2) {
          // A list of layers in another order, or with one of them twice, or without one.
          const list = pick([
            graph.analysis,
            graph.hyperAnalysis,
            graph.hyperSynthesis,
            graph.synthesis,
            graph.prior,
            graph.prior[2].trunk,
          ]) as unknown[];
          const at = Math.floor(next() * list.length);
          list.splice(at, Math.floor(next() * 3), ...(next() < 0.5 ? [pick(list), pick(list)] : []));
        } else put(graph, pick(ways), pick(HARMFUL));
        const model = await outcome(writeModel({ ...parts, graph }));
        if (!model) continue;
        loaded++;
        if (loaded % 8 === 0) await exercise(model, round);
      }
      // Limits and shifts may differ from the exporter's.
      expect(loaded).toBeGreaterThan(50);
    }));

  it('is refused or harmless with any of 150 changes of its tensors', () =>
    withinMemory(async () => {
      const next = seeded(4);
      const names = [...tinyModelParts(options).tensors.keys()];
      const extremes = { I16: [-32768, 32767, 0, -1, 1], I32: [-(2 ** 31), 2 ** 31 - 1, 0, -1, 65536] };
      let loaded = 0;
      for (let round = 0; round < 150; round++) {
        const parts: ModelParts = tinyModelParts(options);
        const tensor = parts.tensors.get(names[Math.floor(next() * names.length)]!)!;
        const { data } = tensor;
        const values = extremes[tensor.dtype];
        const kind = Math.floor(next() * 3);
        const at = Math.floor(next() * data.length);
        const value = values[Math.floor(next() * values.length)]!;
        if (kind === 0) data[at] = value;
        else if (kind === 1) data.fill(value);
        else
          for (let i = 0; i < 20; i++)
            data[Math.floor(next() * data.length)]! ^= 1 << Math.floor(next() * 15);
        const model = await outcome(writeModel(parts));
        if (!model) continue;
        loaded++;
        await exercise(model, round);
      }
      expect(loaded).toBeGreaterThan(50);
    }));

  it('is refused before memory is reserved where it states sizes that are not there', () =>
    withinMemory(async () => {
      for (const shape of [[2 ** 28], [2 ** 28, 2 ** 28, 2 ** 28, 2 ** 28], [2 ** 27, 1], [0], []])
        for (const name of ['head.outputBias', 'latent.step', 'tables.start', 'tables.frequency']) {
          const parts = tinyModelParts(options);
          parts.tensors.get(name)!.shape = shape;
          expect(await outcome(writeModel(parts)), `${name} ${shape}`).toBeUndefined();
        }
    }));

  it('names itself by what it holds', async () => {
    expect(await hashModel(whole)).toBe((await loadModel(whole)).hash);
  });
});
