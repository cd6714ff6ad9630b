import { expect, it } from 'vitest';
import { picturePatch } from '../../src/analysis/picture.ts';
import { type RatedChunk, rateGradient } from '../../src/analysis/rate-gradient.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { readImage } from '../../src/image/read.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import type { ChunkNetwork } from '../../src/network/back-network.ts';
import { groupAt } from '../../src/network/channel-groups.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Model } from '../../src/network/model.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const QUALITY = 60;

/** Units of a latent that a symbol is worth. */
function symbolOf({ latent, latentChannels }: Model, i: number): number {
  return latent.step[(QUALITY - 1) * latentChannels + (i % latentChannels)]! / 2 ** latent.stepBits;
}

/** What each latent itself costs more for each unit. */
function alone(model: Model, { rate }: RatedChunk): Float64Array {
  return Float64Array.from(rate.slopes, (slope, i) => slope / 256 / symbolOf(model, i));
}

it('says by how much a chunk of a photograph grows, with what its latents do to others', async () => {
  const model = await releasedModel();
  const engine = await openEngine(model, { engine: 'wasm' });
  const { raster } = await readImage(new URL('../../samples/originals/portrait.jpg', import.meta.url));
  const { width, height } = raster;
  const extent = { height: 20, width: 20 };
  const pixels = picturePatch(raster, 0, { top: 0, left: 0, width, height }, model.imageShift);
  const window = { top: 8, left: 0, ...extent };
  const analysis = await engine.analyze(pixels, { width, height }, window, QUALITY);
  const chunk = { extent, ...(await engine.encodeChunk(analysis, extent, QUALITY)) };
  const { hyper } = chunk.rate;
  const rates = await rateGradient(engine, chunk, QUALITY);
  const sizeOf = async (y: Int16Array, z: Int16Array) =>
    8 * (await engine.encodeChunk(y, extent, QUALITY, z)).bytes.length;
  /** `start` after a step along `part`, of `size` symbols on average. */
  const moved = (start: Int16Array, part: Float64Array, symbol: (i: number) => number, size: number) => {
    const steepest = part.map((rate, i) => rate * symbol(i) ** 2);
    const squares = steepest.reduce((sum, step, i) => sum + (step / symbol(i)) ** 2, 0);
    const length = size / Math.sqrt(squares / steepest.length);
    return start.map((value, i) => Math.round(value + length * steepest[i]!));
  };
  const foretold = (from: Int16Array, to: Int16Array, rate: Float64Array) =>
    to.reduce((sum, value, i) => sum + (value - from[i]!) * rate[i]!, 0);
  const plain = await sizeOf(analysis, hyper);

  const bySymbol = (i: number) => symbolOf(model, i);
  const [down, up] = [-0.01, 0.01].map((size) => moved(analysis, rates.latents, bySymbol, size));
  const change = (await sizeOf(up!, hyper)) - (await sizeOf(down!, hyper));
  const ratio = change / foretold(down!, up!, rates.latents);
  // Not 1: rounding changes something after all.
  expect(ratio).toBeGreaterThan(1);
  expect(ratio).toBeLessThan(1.6);

  // What latents cost themselves is left out here.
  const own = alone(model, chunk);
  const others = rates.latents.map((rate, i) => rate - own[i]!);
  const [less, more] = [-0.01, 0.01].map((size) => moved(analysis, others, bySymbol, size));
  expect(await sizeOf(less!, hyper)).toBeLessThan(plain - 200);
  expect(await sizeOf(more!, hyper)).toBeGreaterThan(plain + 100);

  const { step, stepBits } = model.hyper;
  const byHyperSymbol = (i: number) =>
    step[(QUALITY - 1) * model.hyperChannels + (i % model.hyperChannels)]! / 2 ** stepBits;
  const [lower, higher] = [-0.1, 0.1].map((size) => moved(hyper, rates.hyper, byHyperSymbol, size));
  expect(await sizeOf(analysis, lower!)).toBeLessThan(plain - 200);
  expect(await sizeOf(analysis, higher!)).toBeGreaterThan(plain + 100);
  await engine.close();
});

/** A chunk whose sides are no multiples of those of hyper latents, coded by a random model. */
async function randomChunk() {
  const model = await loadModel(tinyModelBytes({ seed: 5 }));
  const engine = openReferenceEngine(model);
  const random = randomSource(3);
  const extent = { height: 3, width: 6 };
  const analysis = Int16Array.from({ length: 18 * model.latentChannels }, () => 9000 * (random() - 0.5));
  const chunk = { extent, ...(await engine.encodeChunk(analysis, extent, QUALITY)) };
  return { model, engine, chunk };
}

/** The step of the prior that codes a latent. */
function stepOf({ latentChannels }: Model, { extent }: RatedChunk, i: number): number {
  const site = Math.floor(i / latentChannels);
  const group = Math.floor(((i % latentChannels) * 4) / latentChannels);
  const at = [Math.floor(site / extent.width), site % extent.width] as const;
  return [0, 1, 2, 3].find((step) => groupAt(step, ...at) === group)!;
}

it.each<[string, ChunkNetwork, (step: number) => boolean]>([
  ['no latents through step 0, which reads none', 0, () => false],
  ['those of step 0 through step 1', 1, (step) => step < 1],
  ['those before step 3 through it', 3, (step) => step < 3],
])('rates %s', async (_, only, rated) => {
  const { model, engine, chunk } = await randomChunk();
  const backpropagate: Engine['backpropagate'] = async (network, input, extent, derivatives, ...call) => {
    const found = await engine.backpropagate(network, input, extent, derivatives, ...call);
    return found.fill(network === only ? 1 : 0);
  };
  const { latents, hyper } = await rateGradient({ ...engine, backpropagate }, chunk, QUALITY);
  const own = alone(model, chunk);
  for (const [i, rate] of latents.entries())
    expect(Math.abs(rate - own[i]!) > 1e-9, `latent ${i}`).toBe(rated(stepOf(model, chunk, i)));
  // From latents nothing comes here: only what hyper latents cost themselves.
  expect(Array.from(hyper, Math.sign)).toEqual(Array.from(chunk.rate.hyperSlopes, Math.sign));
});

it('runs each network backwards from where it was, and by what depends on its outputs', async () => {
  const { model, engine, chunk } = await randomChunk();
  const { latentChannels: channels, priorChannels } = model;
  const steps: ChunkNetwork[] = [];
  const backpropagate: Engine['backpropagate'] = async (network, input, extent, derivatives, ...call) => {
    steps.push(network);
    expect(derivatives.some((value) => value !== 0)).toBe(true);
    if (network === 'hyperSynthesis') expect(input).toEqual(chunk.rate.hyperLatents);
    if (typeof network === 'number') {
      expect(extent).toEqual(chunk.extent);
      const read = priorChannels + (network > 0 ? channels : 0);
      for (const i of chunk.latents.keys()) {
        const [site, c] = [Math.floor(i / channels), i % channels];
        const step = stepOf(model, chunk, i);
        if (network > 0)
          expect(input[site * read + priorChannels + c]).toBe(step < network ? chunk.latents[i] : 0);
        const [mean, deviation] = [0, channels].map((from) => derivatives[2 * channels * site + from + c]!);
        const { slopes, tableSlopes } = chunk.rate;
        // A higher mean makes symbols smaller. Some derivatives are rounded to 0.
        expect(mean! * slopes[i]!).toBeLessThanOrEqual(0);
        expect(deviation! * tableSlopes[i]!).toBeGreaterThanOrEqual(0);
        if (step !== network) expect([mean, deviation]).toEqual([0, 0]);
      }
    }
    return engine.backpropagate(network, input, extent, derivatives, ...call);
  };
  await rateGradient({ ...engine, backpropagate }, chunk, QUALITY);
  expect(steps).toEqual([0, 1, 2, 3, 'hyperSynthesis']);
});
