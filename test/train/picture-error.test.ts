import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { lumaPlane, pullToStructure } from '../../src/metrics/structural-pull.ts';
import { frameWeights, pictureError, structureShare } from '../../src/train/picture-error.ts';
import type { Tensor, Tensor4D } from '../../src/train/tensorflow.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const SIDE = 24;
const LENGTH = SIDE * SIDE * 3;
const size = { width: SIDE, height: SIDE };
const even = new Float32Array(SIDE ** 2).fill(1);
const wanted = Float32Array.from({ length: 2 * LENGTH }, (_, i) => 128 + 100 * Math.sin(i * 0.37));
const shown = wanted.map((sample, i) => 0.9 * sample + 8 * Math.cos(i * 1.7));
const strength = [3, 0.5];

const errorOf = (shares: number[], weights: Float32Array) => (x: Tensor) =>
  pictureError(tf, x as Tensor4D, wanted, shares, weights);

/** Of `strength` times the errors, by the samples shown. */
function gradient(shares: number[], weights: Float32Array): Float32Array {
  const total = (x: Tensor) => tf.sum(tf.mul(errorOf(shares, weights)(x), tf.tensor1d(strength)));
  return tf
    .grad(total)(tf.tensor4d(shown, [2, SIDE, SIDE, 3]))
    .dataSync() as Float32Array;
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(actual[i]).toBeCloseTo(expected[i]!, 6);
}

describe('pictureError', () => {
  it('is squared error without a share of structure, and so is its gradient', () => {
    const plain = (x: Tensor) =>
      tf.mean(tf.squaredDifference(x, tf.tensor4d(wanted, [2, SIDE, SIDE, 3])), [1, 2, 3]);
    const samples = tf.tensor4d(shown, [2, SIDE, SIDE, 3]);
    expectClose(errorOf([0, 0], even)(samples).dataSync(), plain(samples).dataSync());
    const expected = tf.grad((x: Tensor) => tf.sum(tf.mul(plain(x), tf.tensor1d(strength))))(samples);
    expectClose(gradient([0, 0], even), expected.dataSync());
  });

  it('pulls each picture to structure by a share of its own, and keeps its value', () => {
    const samples = tf.tensor4d(shown, [2, SIDE, SIDE, 3]);
    expectClose(errorOf([0.5, 0], even)(samples).dataSync(), errorOf([0, 0], even)(samples).dataSync());
    const off = Float64Array.from({ length: LENGTH }, (_, i) => shown[i]! - wanted[i]!);
    const squared = off.slice();
    pullToStructure(off, lumaPlane(shown, size), lumaPlane(wanted, size), 0.5);
    expect(off).not.toEqual(squared);
    const result = gradient([0.5, 0], even);
    expectClose(
      result.subarray(0, LENGTH),
      off.map((value) => (2 * strength[0]! * value) / LENGTH),
    );
    expectClose(result.subarray(LENGTH), gradient([0, 0], even).subarray(LENGTH));
  });

  it('counts outermost pixels more', () => {
    const weights = frameWeights(SIDE);
    expect([...weights.subarray(10 * SIDE, 11 * SIDE)]).toEqual([
      5,
      2,
      1.5,
      1.5,
      ...Array(16).fill(1),
      1.5,
      1.5,
      2,
      5,
    ]);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) expect(weights[y * SIDE + x]).toBe(weights[x * SIDE + y]);
    }
    expect([...weights.subarray(0, SIDE)]).toEqual(Array(SIDE).fill(5));
    const framed = gradient([0.5, 0.2], weights);
    expectClose(
      framed,
      gradient([0.5, 0.2], even).map((value, i) => value * weights[Math.floor((i % LENGTH) / 3)]!),
    );
  });
});

describe('structureShare', () => {
  it('falls from half at the lowest quality to none at the highest', () => {
    expect([1, 51, 101].map((quality) => structureShare(quality, 101))).toEqual([0.5, 0.375, 0]);
  });
});
