import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { differentiable } from '../../../src/train/network/differentiable.ts';
import type { Tensor, Tensor4D } from '../../../src/train/tensorflow.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const ops = differentiable(tf, true);
const random = (shape: [number, number, number, number], seed: number) =>
  tf.randomUniform(shape, -1, 1, 'float32', seed) as Tensor4D;
const numbers = (tensor: Tensor) => Array.from(tensor.dataSync());

function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual(expected.shape);
  const [a, b] = [numbers(actual), numbers(expected)];
  for (const [i, value] of a.entries()) expect(value).toBeCloseTo(b[i]!, 4);
}

describe('gradients of a convolution that are made of convolutions', () => {
  it.each([1, 3])('equal those of TensorFlow.js for a kernel of %i', (kernel) => {
    const own = differentiable(tf, false);
    const input = random([2, 5, 6, 3], 1);
    const filter = random([kernel, kernel, 3, 4], 2);
    const weight = random([2, 5, 6, 4], 3);
    const loss = (of: typeof ops) => (x: Tensor, w: Tensor) =>
      tf.sum(tf.mul(of.conv(x as Tensor4D, w as Tensor4D), weight));
    const [ownInput, ownFilter] = tf.grads(loss(own))([input, filter]);
    const [input_, filter_] = tf.grads(loss(ops))([input, filter]);
    expectClose(ownInput!, input_!);
    expectClose(ownFilter!, filter_!);
  });
});

describe('shuffle and unshuffle', () => {
  it('put channel (dy*k + dx)*C + c where the specification has it, and back', () => {
    // (1,2,2,4) with C = 1: each pixel becomes a square of four.
    const packed = tf.tensor4d(
      Array.from({ length: 16 }, (_, i) => i),
      [1, 2, 2, 4],
    );
    const spread = ops.shuffle(packed, 2);
    expect(spread.shape).toEqual([1, 4, 4, 1]);
    expect(numbers(spread).slice(0, 8)).toEqual([0, 1, 4, 5, 2, 3, 6, 7]);
    expectClose(ops.unshuffle(spread, 2), packed);
  });

  it('have gradients', () => {
    const packed = random([1, 2, 2, 8], 4);
    const gradient = tf.grad((x) => tf.sum(tf.square(ops.shuffle(x as Tensor4D, 2))))(packed);
    expectClose(gradient, tf.mul(packed, 2));
  });
});

describe('straight-through operations', () => {
  const values = tf.tensor1d([-5, -0.4, 0.4, 0.6, 5]);

  it('round values and pass gradients', () => {
    expect(numbers(ops.round(values)).map(Math.abs)).toEqual([5, 0, 0, 1, 5]);
    expect(numbers(tf.grad((x) => tf.sum(ops.round(x)))(values))).toEqual([1, 1, 1, 1, 1]);
  });

  it('clamp values and let what lies beyond come back', () => {
    expect(numbers(ops.clamp(values, 1))[0]).toBe(-1);
    expect(numbers(tf.grad((x) => tf.sum(ops.clamp(x, 1)))(values))).toEqual([1, 1, 1, 1, 1]);
  });

  it('let a value below a bound rise, but not sink', () => {
    const bounded = (sign: number) =>
      numbers(tf.grad((x) => tf.sum(tf.mul(ops.lowerBound(x, 0), sign)))(values));
    expect(numbers(ops.lowerBound(values, 0))[0]).toBe(0);
    // The gradient is followed downhill: -1 raises.
    expect(bounded(-1)).toEqual([-1, -1, -1, -1, -1]);
    expect(bounded(1).map(Math.abs)).toEqual([0, 0, 1, 1, 1]);
  });

  it('leak an eighth below zero', () => {
    expect(numbers(ops.leaky(tf.tensor1d([-8, 8])))).toEqual([-1, 8]);
    expect(numbers(tf.grad((x) => tf.sum(ops.leaky(x)))(values))).toEqual([0.125, 0.125, 1, 1, 1]);
  });
});
