import { describe, expect, it } from 'vitest';
import type { Patch } from '../../src/engine/engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { nativeAxis } from '../../src/head/query.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { checkConv } from '../../src/network/bounds.ts';
import { pictureValue } from '../../src/network/fixed-point.ts';
import { gradientNetwork } from '../../src/network/gradient.ts';
import { loadModel } from '../../src/network/load.ts';
import type { Conv, Model } from '../../src/network/model.ts';
import { sitesOf } from '../../src/network/window.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const QUALITY = 60;
const LEVEL = { height: 2, width: 3 };
const WHOLE = { top: 0, left: 0, ...LEVEL };

/** How far the samples are off that are shown of latents. */
async function errorsOf(model: Model, latents: Patch, target: Patch): Promise<Patch> {
  const engine = openReferenceEngine(model);
  const { rect } = target;
  const features = await engine.features(latents, LEVEL, sitesOf(model, WHOLE), QUALITY);
  const rows = nativeAxis(rect.top, rect.height);
  const columns = nativeAxis(rect.left, rect.width);
  const [samples] = await engine.pixels(features, [{ rows, columns, depth: 16 }]);
  return {
    ...target,
    data: target.data.map((wanted, i) => pictureValue(samples![i]!, model.imageShift) - wanted),
  };
}

/** Half their squares, in 8-bit units. */
async function halfError(model: Model, latents: Patch, target: Patch): Promise<number> {
  const level = 514 / 2 ** model.imageShift;
  const errors = await errorsOf(model, latents, target);
  return errors.data.reduce((sum, error) => sum + (error / level) ** 2 / 2, 0);
}

it('is the derivative of the squared error, as differences show', async () => {
  const model = await releasedModel();
  const random = randomSource(3);
  const channels = model.latentChannels;
  const engine = openReferenceEngine(model);
  // A soft picture, and latents a little off: nothing is clamped, and the error is smooth.
  const sites = sitesOf(model, WHOLE);
  const picture: Patch = {
    rect: sites,
    channels: 3,
    data: Int16Array.from({ length: sites.height * sites.width * 3 }, (_, i) =>
      Math.round(2000 * Math.sin(i / 40) + 300 * (random() - 0.5)),
    ),
  };
  const analysis = await engine.analyze(
    picture,
    { height: sites.height, width: sites.width },
    WHOLE,
    QUALITY,
  );
  const { latents } = await engine.encodeChunk(analysis, LEVEL, QUALITY);
  const coded: Patch = { rect: WHOLE, channels, data: latents };
  const { data: errors } = await errorsOf(model, coded, picture);
  const found = await engine.gradient(coded, LEVEL, WHOLE, sites, () => errors, QUALITY);
  const gradient = Float64Array.from(found, (value) => value * gradientNetwork(model).unit);

  const along = async (direction: Int16Array) => {
    const moved = (sign: number): Patch => ({
      ...coded,
      data: coded.data.map((value, i) => value + sign * direction[i]!),
    });
    const difference =
      (await halfError(model, moved(1), picture)) - (await halfError(model, moved(-1), picture));
    const expected = gradient.reduce((sum, slope, i) => sum + slope * direction[i]!, 0);
    return { ratio: difference / 2 / expected, expected };
  };
  const size = Math.sqrt(found.reduce((sum, value) => sum + value * value, 0) / found.length);
  const steepest = await along(Int16Array.from(found, (value) => Math.round((10 * value) / size)));
  expect(steepest.expected).toBeGreaterThan(0);
  expect(steepest.ratio).toBeCloseTo(1, 1);
  // Every other latent: the derivative is right for parts of them too.
  const half = await along(
    Int16Array.from(found, (value, i) => (i % 2 ? Math.round((10 * value) / size) : 0)),
  );
  expect(half.ratio).toBeCloseTo(1, 1);
}, 60_000);

describe('the network', () => {
  it.each([
    ['the released model', releasedModel],
    ['a random model', () => loadModel(tinyModelBytes({ seed: 7, blocks: 2 }))],
  ])('of %s cannot leave int32', async (_, load) => {
    const { layers, headLimit } = gradientNetwork(await load());
    const convs: [Conv, number][] = [];
    let limit = headLimit;
    for (const layer of layers) {
      if (layer.op === 'conv') convs.push([layer, limit]);
      if (layer.op === 'residual') convs.push([layer.first, limit], [layer.second, layer.first.limit]);
      if (layer.op === 'conv' || layer.op === 'residual') limit = layer.limit;
    }
    expect(convs.length).toBeGreaterThan(5);
    for (const [conv, input] of convs)
      expect(checkConv(conv, new Array<number>(conv.inputs).fill(input))).toBeUndefined();
  });

  it('is refused where activations lie between the layers', async () => {
    const model = await loadModel(tinyModelBytes({ seed: 5 }));
    const synthesis = model.synthesis.map((layer) =>
      layer.op === 'conv' ? { ...layer, leaky: true } : layer,
    );
    expect(() => gradientNetwork({ ...model, synthesis })).toThrow(/cannot be optimized/);
  });
});
