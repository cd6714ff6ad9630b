import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, FeatureMap, Patch, Query, Rect, Samples } from '../../../src/engine/engine.ts';
import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import { TENSORFLOW_BACKENDS, type TensorFlowBackend } from '../../../src/engine/tensorflow/backend.ts';
import {
  openTensorFlowEngine,
  type TensorFlowEngine,
} from '../../../src/engine/tensorflow/tensorflow-engine.ts';
import { isLiifError } from '../../../src/errors.ts';
import { sampleAxis } from '../../../src/head/query.ts';
import { parseModel } from '../../../src/network/load.ts';
import { randomSource, tinyModelBytes } from '../../fixtures/tiny-model.ts';
import { MODELS, runEngineTests } from '../conformance.ts';

const model = parseModel(tinyModelBytes({ seed: 5 }));
const reference = openReferenceEngine(model);
const LEVEL = { height: 14, width: 15 };
const SITES = { height: LEVEL.height * 16, width: LEVEL.width * 16 };
const QUALITY = 62;

/** The native binding only where somebody built it; the two pure backends always. */
const installed = TENSORFLOW_BACKENDS.filter((backend) => {
  if (backend === 'cpu' || backend === 'wasm') return true;
  if (backend !== 'node') return false;
  try {
    createRequire(import.meta.url).resolve('@tensorflow/tfjs-node');
    return true;
  } catch {
    return false;
  }
});

const random = randomSource(17);
const latents: Patch = {
  rect: { top: 0, left: 0, ...LEVEL },
  channels: model.latentChannels,
  data: Int16Array.from({ length: LEVEL.height * LEVEL.width * model.latentChannels }, () =>
    // Mostly small, some beyond every limit.
    Math.round((random() + random() + random() - 1.5) * (random() < 0.1 ? 18000 : 3600)),
  ),
};

describe.each(installed)('TensorFlow.js on %s', (backend) => {
  let engine: TensorFlowEngine;
  beforeAll(async () => {
    engine = await open(backend);
  });
  afterAll(() => engine.close());

  runEngineTests({
    openEngine: (given, exact) =>
      openTensorFlowEngine(given, { exact: { ...exact, close: async () => {} }, backend }),
    within: { features: 2, samples: 1 },
    // One model on the backend that has no SIMD.
    ...(backend === 'cpu' && { models: MODELS.slice(1, 2) }),
  });

  it('renders pixels within 1 of 255 of the exact ones at any scale, depth and border, many queries at once', async () => {
    const queries: Query[] = [];
    for (const depth of [8, 16] as const)
      for (const [start, step, count] of [
        [0, 1, 48],
        [3, 0.25, 60],
        [2.5, 2, 20],
        [1.3, 0.731, 33],
        [-40, 4, 12],
        [10, 2 ** -40, 7],
      ] as const)
        for (const offset of [0, 1, 5.5]) queries.push(query(start + offset, start, step, count, depth));
    const { exact, features } = await bothFeatures(engine, { top: 0, left: 0, height: 60, width: 60 });
    const expected = await reference.pixels(exact, queries);
    const rasters = await engine.pixels(features, queries);
    for (const [i, raster] of rasters.entries()) {
      expect(raster.constructor).toBe(expected[i]!.constructor);
      expect(raster.length).toBe(expected[i]!.length);
      expect(largestDifference(raster, expected[i]!)).toBeLessThanOrEqual(queries[i]!.depth === 8 ? 1 : 257);
    }
    // Nearly all of them are equal; the bound alone would let a shifted picture pass.
    expect(shareOfEqual(rasters, expected)).toBeGreaterThan(0.99);
    features.close();
  });

  it('renders the same whether queries are cut, joined or alone', async () => {
    const small = await open(backend, 700);
    const { features } = await bothFeatures(engine, { top: 0, left: 0, height: 60, width: 60 });
    const pieces = await small.features(latents, LEVEL, features.rect, QUALITY);
    const queries = [query(1, 2, 0.5, 64, 8), query(4, 9, 0.5, 20, 16), query(8, 3, 0.5, 64, 8)];
    const joined = await engine.pixels(features, queries);
    expect(await small.pixels(pieces, queries)).toEqual(joined);
    for (const [i, one] of queries.entries())
      expect(await engine.pixels(features, [one])).toEqual([joined[i]]);
    features.close();
    await small.close();
  });

  it('reads feature maps of other engines', async () => {
    const { exact, features } = await bothFeatures(engine, { top: 0, left: 0, height: 30, width: 30 });
    const [a] = await engine.pixels(exact, [query(2, 2, 0.5, 40, 8)]);
    const [b] = await reference.pixels(exact, [query(2, 2, 0.5, 40, 8)]);
    expect(largestDifference(a!, b!)).toBeLessThanOrEqual(1);
    features.close();
  });

  it('leaves no tensor behind over 1,000 tiles', async () => {
    const sites = { top: 0, left: 0, height: 8, width: 8 };
    const round = async () => {
      const features = await engine.features(latents, LEVEL, sites, QUALITY);
      await engine.pixels(
        features,
        Array.from({ length: 100 }, (_, i) => query(i % 3, 0, 0.5, 4, i % 2 === 0 ? 8 : 16)),
      );
      features.close();
    };
    await round();
    const before = tf.memory();
    for (let i = 0; i < 10; i++) await round();
    const after = tf.memory();
    expect([after.numTensors, after.numDataBuffers, after.numBytes]).toEqual([
      before.numTensors,
      before.numDataBuffers,
      before.numBytes,
    ]);
  });

  it('leaves no tensor behind when a call is aborted, fails, or the engine is closed with feature maps open', async () => {
    const before = tf.memory().numTensors;
    const other = await open(backend, 64);
    const sites = { top: 0, left: 0, height: 20, width: 20 };
    const open1 = await other.features(latents, LEVEL, sites, QUALITY);
    await other.features(latents, LEVEL, sites, QUALITY);

    const controller = new AbortController();
    const stopped = [
      other.features(latents, LEVEL, sites, QUALITY, controller.signal),
      other.pixels(open1, [query(0, 0, 0.5, 30, 8)], controller.signal),
    ];
    setImmediate(() => controller.abort(new Error('enough')));
    for (const result of await Promise.allSettled(stopped))
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });

    await expect(other.pixels(open1, [query(100, 0, 1, 4, 8)])).rejects.toSatisfy((error) =>
      isLiifError(error, 'RequestError'),
    );
    await expect(other.features({ ...latents, channels: 16 }, LEVEL, sites, QUALITY)).rejects.toSatisfy(
      (error) => isLiifError(error, 'RequestError'),
    );

    const unfinished = expect(other.features(latents, LEVEL, sites, QUALITY)).rejects.toThrow('closed');
    await other.close();
    await unfinished;
    await expect(open1.read()).rejects.toThrow('closed');
    await expect(other.pixels(open1, [])).rejects.toThrow('closed');
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('opening', () => {
  it('takes the first backend that works', async () => {
    const engine = await openTensorFlowEngine(model, { exact: openReferenceEngine(model) });
    expect(engine).toMatchObject({ name: 'tensorflow', exact: false, backend: installed[0] });
    await engine.close();
  });

  it('says what to install when a backend is missing', async () => {
    await expect(open('webgpu')).rejects.toMatchObject({
      _tag: 'EngineError',
      message: expect.stringContaining('npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-webgpu'),
    });
    await expect(open('node-gpu')).rejects.toThrow('npm install @tensorflow/tfjs-node-gpu');
  });

  it('leaves the handling of rejections in this process alone', async () => {
    const engine = await open('wasm');
    const listeners = [
      ...process.rawListeners('unhandledRejection'),
      ...process.rawListeners('uncaughtException'),
    ];
    expect(listeners.filter((listener) => String(listener).includes('throw'))).toEqual([]);
    await engine.close();
  });

  it('refuses an engine that could not decode chunks', async () => {
    const engine = await open('cpu');
    await expect(openTensorFlowEngine(model, { exact: engine })).rejects.toThrow('exact engine');
    const other = openReferenceEngine(parseModel(tinyModelBytes({ seed: 6 })));
    await expect(openTensorFlowEngine(model, { exact: other })).rejects.toThrow('same model');
    await engine.close();
  });

  it('keeps to its backend when another one is chosen in the process', async () => {
    const engine = await open('cpu');
    await tf.setBackend('wasm');
    const sites = { top: 0, left: 0, height: 4, width: 4 };
    const features = await engine.features(latents, LEVEL, sites, QUALITY);
    expect(tf.getBackend()).toBe('cpu');
    expect(
      largestDifference(
        await features.read(),
        await (await reference.features(latents, LEVEL, sites, QUALITY)).read(),
      ),
    ).toBeLessThanOrEqual(2);
    await engine.close();
  });
});

function open(backend: TensorFlowBackend, batchPixels?: number): Promise<TensorFlowEngine> {
  return openTensorFlowEngine(model, {
    exact: openReferenceEngine(model),
    backend,
    ...(batchPixels !== undefined && { batchPixels }),
  });
}

async function bothFeatures(
  engine: Engine,
  sites: Rect,
): Promise<{ exact: FeatureMap; features: FeatureMap }> {
  return {
    exact: await reference.features(latents, LEVEL, sites, QUALITY),
    features: await engine.features(latents, LEVEL, sites, QUALITY),
  };
}

/** `count` x `count - 1` pixels of `step` sites each. */
function query(top: number, left: number, step: number, count: number, depth: 8 | 16): Query {
  return {
    depth,
    rows: sampleAxis(top, step * count, count, 1n, SITES.height),
    columns: sampleAxis(left, step * (count - 1), count - 1, 1n, SITES.width),
  };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

/** Over samples of 8 bits. */
function shareOfEqual(rasters: readonly Samples[], expected: readonly Samples[]): number {
  let equal = 0;
  let all = 0;
  for (const [i, raster] of rasters.entries()) {
    if (!(raster instanceof Uint8Array)) continue;
    for (let j = 0; j < raster.length; j++) if (raster[j] === expected[i]![j]) equal++;
    all += raster.length;
  }
  return equal / all;
}
