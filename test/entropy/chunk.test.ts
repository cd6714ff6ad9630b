import { describe, expect, it } from 'vitest';
import type { Engine, Extent } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { type ChunkNetworks, decodeChunk, encodeChunk } from '../../src/entropy/chunk.ts';
import { FormatError } from '../../src/errors.ts';
import { groupAt } from '../../src/network/channel-groups.ts';
import { symbolCount } from '../../src/network/chunk-size.ts';
import { loadModel } from '../../src/network/load.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const model = await loadModel(tinyModelBytes());
const engine: Engine = openReferenceEngine(model);

function randomAnalysis({ height, width }: Extent, seed: number): Int16Array {
  const random = randomSource(seed);
  const gaussian = () => random() + random() + random() + random() - 2;
  return Int16Array.from({ length: height * width * model.latentChannels }, () => gaussian() * 9000);
}

const shapes: [height: number, width: number][] = [
  [1, 1],
  [1, 7],
  [7, 1],
  [2, 2],
  [5, 3],
  [8, 8],
  [13, 32],
  [32, 32],
];

describe.each(shapes)('a chunk of %i x %i latents', (height, width) => {
  const chunk = { height, width };
  it.each([1, 50, 100])('decodes to the latents of the encoder at quality %i', async (quality) => {
    const analysis = randomAnalysis(chunk, height * 100 + width);
    const { bytes, latents } = await engine.encodeChunk(analysis, chunk, quality);
    expect(latents).toHaveLength(height * width * model.latentChannels);
    expect(await engine.decodeChunk(bytes, chunk, quality)).toEqual(latents);
  });
});

it('latents are within half a step of the analysis output where symbols are coded', async () => {
  const chunk = { height: 6, width: 10 };
  const quality = 100;
  const analysis = randomAnalysis(chunk, 4);
  const { latents } = await engine.encodeChunk(analysis, chunk, quality);
  const step = model.latent.step.subarray((quality - 1) * model.latentChannels);
  let within = 0;
  for (let i = 0; i < latents.length; i++) {
    const half = step[i % model.latentChannels]! / 2 ** (model.latent.stepBits + 1);
    if (Math.abs(latents[i]! - Math.max(-18000, Math.min(18000, analysis[i]!))) <= half + 1) within++;
  }
  expect(within / latents.length).toBeGreaterThan(0.99); // the others have the empty table
});

it('extreme analysis outputs go through the bypass and come back', async () => {
  const chunk = { height: 3, width: 5 };
  const analysis = new Int16Array(15 * model.latentChannels).map((_, i) => (i % 3 ? -32768 : 32767));
  for (const quality of [1, 100]) {
    const { bytes, latents } = await engine.encodeChunk(analysis, chunk, quality);
    expect(await engine.decodeChunk(bytes, chunk, quality)).toEqual(latents);
    expect(Math.max(...latents)).toBeLessThanOrEqual(model.latent.limit);
    expect(Math.min(...latents)).toBeGreaterThanOrEqual(-model.latent.limit);
  }
});

it('every channel of every position is coded in exactly one step', () => {
  for (let row = 0; row < 4; row++) {
    for (let column = 0; column < 4; column++) {
      const groups = [0, 1, 2, 3].map((step) => groupAt(step, row, column));
      expect([...groups].sort()).toEqual([0, 1, 2, 3]);
      expect(groups[0]).toBe(2 * (row % 2) + (column % 2));
    }
  }
  // Spec 3.6: group (p - t) mod 4 at parity p in step t.
  expect([1, 2, 3].map((step) => groupAt(step, 0, 0))).toEqual([3, 2, 1]);
  expect([1, 2, 3].map((step) => groupAt(step, 1, 0))).toEqual([1, 0, 3]);
});

it('only the entries that a step codes are read from the prior', async () => {
  const chunk = { height: 5, width: 6 };
  const analysis = randomAnalysis(chunk, 5);
  const size = analysis.length;
  const random = randomSource(6);
  const mean = Int16Array.from({ length: size }, () => random() * 4000 - 2000);
  const deviation = Int16Array.from({ length: size }, () => random() * 300 - 150);
  /** Fixed networks; whatever is not coded in a step is overwritten with `rest`. */
  const networks = (rest: number): ChunkNetworks => {
    const masked = (values: Int16Array, step: number) =>
      values.map((value, i) => {
        const position = Math.floor(i / model.latentChannels);
        const group = groupAt(step, Math.floor(position / chunk.width), position % chunk.width);
        return Math.floor((i % model.latentChannels) / (model.latentChannels / 4)) === group ? value : rest;
      });
    return {
      hyperAnalysis: () => new Int16Array(4 * model.hyperChannels),
      hyperSynthesis: () => new Int16Array(64 * model.priorChannels),
      prior: (step) => ({ mean: masked(mean, step), deviation: masked(deviation, step) }),
    };
  };
  const first = encodeChunk(analysis, chunk, 60, model, networks(0));
  expect(encodeChunk(analysis, chunk, 60, model, networks(-32768))).toEqual(first);
  expect(await decodeChunk(first.bytes, chunk, 60, model, networks(32767))).toEqual(first.latents);
});

it('hyper analysis reads zeros behind the latents, up to its stride', () => {
  const chunk = { height: 3, width: 5 };
  const { latentChannels } = model;
  const analysis = randomAnalysis(chunk, 7);
  const read: [y: Int16Array, extent: Extent][] = [];
  const networks: ChunkNetworks = {
    hyperAnalysis: (y, extent) => {
      read.push([y, extent]);
      return new Int16Array(2 * model.hyperChannels);
    },
    hyperSynthesis: () => new Int16Array(32 * model.priorChannels),
    prior: () => ({ mean: new Int16Array(analysis.length), deviation: new Int16Array(analysis.length) }),
  };
  encodeChunk(analysis, chunk, 60, model, networks);
  const [[y, extent]] = read as [[Int16Array, Extent]];
  expect(extent).toEqual({ height: 4, width: 8 });
  const row = analysis.subarray(0, 5 * latentChannels);
  expect([...y.subarray(0, 8 * latentChannels)]).toEqual([...row, ...new Int16Array(3 * latentChannels)]);
  expect([...y.subarray(24 * latentChannels)]).toEqual([...new Int16Array(8 * latentChannels)]);
});

describe('a damaged chunk', () => {
  const chunk = { height: 4, width: 5 };
  const made = engine.encodeChunk(randomAnalysis(chunk, 9), chunk, 70);

  it('is refused when it is cut, at every length', async () => {
    const { bytes } = await made;
    for (let length = 0; length < bytes.length; length += 5) {
      await expect(engine.decodeChunk(bytes.subarray(0, length), chunk, 70)).rejects.toThrow(FormatError);
    }
  });

  it('is refused when more follows its last symbol', async () => {
    const { bytes } = await made;
    const longer = new Uint8Array(bytes.length + 2);
    longer.set(bytes);
    await expect(engine.decodeChunk(longer, chunk, 70)).rejects.toThrow('2 bytes are left');
  });

  it('is refused when it is longer than its symbols allow', async () => {
    const bytes = new Uint8Array(16 + 8 * symbolCount(model, chunk) + 2).fill(1);
    await expect(engine.decodeChunk(bytes, chunk, 70)).rejects.toThrow(/expected an even length/);
  });

  it('is refused or decodes within limits, whatever its bits are', async () => {
    const { bytes } = await made;
    const random = randomSource(3);
    for (let i = 0; i < 60; i++) {
      const changed = bytes.slice();
      changed[Math.floor(random() * changed.length)]! ^= 1 << Math.floor(random() * 8);
      try {
        const latents = await engine.decodeChunk(changed, chunk, 70);
        expect(latents.every((value) => Math.abs(value) <= model.latent.limit)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        expect((error as FormatError).section).toBe('chunk');
      }
    }
  });
});
