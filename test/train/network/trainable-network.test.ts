import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import { sampleAxis } from '../../../src/head/query.ts';
import { parseModel } from '../../../src/network/load.ts';
import type { Model } from '../../../src/network/model.ts';
import { enlargedWindow } from '../../../src/train/enlargement.ts';
import { differentiable } from '../../../src/train/network/differentiable.ts';
import { convExponents } from '../../../src/train/network/exponents.ts';
import { type TrainableNetwork, trainableNetwork } from '../../../src/train/network/trainable-network.ts';
import type { Tensor, Tensor4D } from '../../../src/train/tensorflow.ts';
import { type ModelParts, randomSource, tinyModelBytes } from '../../fixtures/tiny-model.ts';

const SIDE = 64;
const LEVEL = { height: SIDE / 16, width: SIDE / 16 };
const QUALITY = 62;
const SMALL = new URL('../../../format-spec/vectors/models/small.safetensors', import.meta.url);

/** A smooth picture with some noise: (SIDE,SIDE,3). */
const random = randomSource(3);
const picture = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => {
  const [x, y, c] = [Math.floor(i / 3) % SIDE, Math.floor(i / (3 * SIDE)), i % 3];
  return 128 + 60 * Math.sin(x / 9 + c) + 40 * Math.cos(y / 7) + 20 * (random() - 0.5);
});

function networkOf(file: Uint8Array, model: Model): TrainableNetwork {
  return trainableNetwork(tf, differentiable(tf, true), model, convExponents(file));
}

describe('the trainable network before any training', () => {
  let model: Model;
  let network: TrainableNetwork;
  let quality: Tensor;
  let pictures: Tensor4D;
  const engine = () => openReferenceEngine(model);

  beforeAll(async () => {
    await tf.setBackend('cpu');
    const file = new Uint8Array(await readFile(SMALL));
    model = parseModel(file);
    network = networkOf(file, model);
    quality = tf.tensor1d([QUALITY - 1], 'int32');
    pictures = tf.tensor4d(Float32Array.from(picture), [1, SIDE, SIDE, 3]);
  });
  afterAll(() => network.dispose());

  /** Integers, and the floats that they are rounded from at every layer. */
  function expectNear(actual: Tensor, expected: ArrayLike<number>, typical: number): void {
    const values = actual.dataSync();
    expect(values.length).toBe(expected.length);
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]! - expected[i]!);
    expect(sum / values.length).toBeLessThan(typical);
  }

  async function analysisOf(): Promise<Int16Array> {
    const data = Int16Array.from(
      picture,
      (v) => (2 * 257 * v - 65535 + (1 << (model.imageShift - 1))) >> model.imageShift,
    );
    const rect = { top: 0, left: 0, height: SIDE, width: SIDE };
    const latents = { top: 0, left: 0, ...LEVEL };
    return engine().analyze({ rect, channels: 3, data }, { height: SIDE, width: SIDE }, latents, QUALITY);
  }

  it('analyzes a picture as the reference engine does', async () => {
    expectNear(network.analyze(pictures, quality), await analysisOf(), 2);
  });

  it('dequantizes to the latents that a decoder gets', async () => {
    const analysis = await analysisOf();
    const { latents } = await engine().encodeChunk(analysis, LEVEL, QUALITY);
    const analyzed = tf.tensor4d(Float32Array.from(analysis), [
      1,
      LEVEL.height,
      LEVEL.width,
      model.latentChannels,
    ]);
    const ours = network.entropy.estimate(analyzed, quality, 1).latents;
    // A mean at a tie may round the other way, by a whole step.
    const values = ours.dataSync();
    const far = Array.from(values).filter((v, i) => Math.abs(v - latents[i]!) > 8);
    expect(far.length / values.length).toBeLessThan(0.02);
  });

  it('makes the features and pixels of the reference engine, at native scale and enlarged', async () => {
    const { latents } = await engine().encodeChunk(await analysisOf(), LEVEL, QUALITY);
    const rect = { top: 0, left: 0, ...LEVEL };
    const sites = { top: 0, left: 0, height: SIDE, width: SIDE };
    const patch = { rect, channels: model.latentChannels, data: latents };
    const map = await engine().features(patch, LEVEL, sites, QUALITY);
    const input = tf.tensor4d(Float32Array.from(latents), [
      1,
      LEVEL.height,
      LEVEL.width,
      model.latentChannels,
    ]);
    const features = network.features(input, quality);
    expectNear(features, await map.read(), 2);

    const native = sampleAxis(0, SIDE, SIDE, 1n, SIDE);
    const [pixels] = await engine().pixels(map, [{ rows: native, columns: native, depth: 8 }]);
    expectNear(clipped(network.head.native(features)), pixels!, 0.6);

    // 2.5 output pixels a site, from output pixel 20 and 50 on: positions 8 and 20.
    const size = 40;
    const [rows, columns] = [sampleAxis(8, 16, size, 1n, SIDE), sampleAxis(20, 16, size, 1n, SIDE)];
    const [enlarged] = await engine().pixels(map, [{ rows, columns, depth: 8 }]);
    const window = enlargedWindow(tf, { scale: 2.5, top: 20, left: 50, size });
    expectNear(clipped(network.head.enlarged(features, window)), enlarged!, 0.6);
  });

  const clipped = (values: Tensor) => tf.clipByValue(values, 0, 255);

  it('estimates bits near those of a real chunk', async () => {
    const analysis = await analysisOf();
    const { bytes } = await engine().encodeChunk(analysis, LEVEL, QUALITY);
    const { bits } = network.entropy.estimate(network.analyze(pictures, quality), quality, 5);
    const [estimate] = bits.dataSync();
    expect(estimate! / (8 * (bytes.length - 16))).toBeGreaterThan(0.7);
    expect(estimate! / (8 * (bytes.length - 16))).toBeLessThan(1.6);
  });
});

it('has the gradients that differences of its error show', async () => {
  await tf.setBackend('cpu');
  // Weak weights, so that nothing is clamped: gradients pass a clamp as if it were not there.
  const change = ({ tensors }: ModelParts) => {
    for (const [name, { data }] of tensors)
      if (/synthesis.*(weight|bias)$/.test(name))
        for (const [i, value] of data.entries()) data[i] = value / 3;
  };
  const file = tinyModelBytes({ seed: 4, change });
  const model = parseModel(file);
  const network = networkOf(file, model);
  const quality = tf.tensor1d([QUALITY - 1], 'int32');
  const pictures = tf.tensor4d(Float32Array.from(picture), [1, SIDE, SIDE, 3]);
  const latents = tf.tensor4d(
    Float32Array.from({ length: 16 * model.latentChannels }, () => 1000 * (random() - 0.5)),
    [1, LEVEL.height, LEVEL.width, model.latentChannels],
  );
  const loss = () =>
    tf.mean(
      tf.square(tf.sub(network.head.native(network.features(latents, quality)), pictures)),
    ) as tf.Scalar;
  const variables = network.variables as unknown as tf.Variable[];
  const { grads } = tf.variableGrads(loss, variables);
  // Weights and biases of the last layers: convolutions, a residual, the unfolded one, the head.
  for (const variable of variables.slice(-12)) {
    const gradient = Float32Array.from(grads[variable.name]!.dataSync());
    const at = gradient.reduce((best, g, i) => (Math.abs(g) > Math.abs(gradient[best]!) ? i : best), 0);
    const before = variable.dataSync().slice();
    const errorWith = (delta: number) => {
      const changed = Float32Array.from(before);
      changed[at]! += delta;
      variable.assign(tf.tensor(changed, variable.shape));
      return loss().dataSync()[0]!;
    };
    const small = 1e-2;
    const difference = (errorWith(small) - errorWith(-small)) / (2 * small);
    variable.assign(tf.tensor(before, variable.shape));
    expect(Math.abs(gradient[at]! / difference - 1)).toBeLessThan(0.15);
  }
  network.dispose();
});
