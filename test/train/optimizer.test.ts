import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import { adam } from '../../src/train/optimizer.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const numbers = (tensor: tf.Tensor) => Array.from(tensor.dataSync());
const variable = () => tf.variable(tf.tensor1d([1, 2]));

it('moves each value by the rate, against its gradient', async () => {
  const x = variable();
  expect(await adam(tf).step({ [x.name]: tf.tensor1d([0.001, -50]) }, 0.25)).toBe(true);
  const [first, second] = numbers(x);
  expect(first).toBeCloseTo(0.75, 3);
  expect(second).toBeCloseTo(2.25, 3);
});

it('does nothing where gradients are not finite, and goes on afterwards', async () => {
  const x = variable();
  const optimizer = adam(tf);
  expect(await optimizer.step({ [x.name]: tf.tensor1d([1, Number.NaN]) }, 0.25)).toBe(false);
  expect(numbers(x)).toEqual([1, 2]);
  expect(await optimizer.step({ [x.name]: tf.tensor1d([1, 1]) }, 0.25)).toBe(true);
  expect(numbers(x)[0]).toBeCloseTo(0.75, 3);
});

it('does not let one strange gradient outweigh those before it', async () => {
  const after = async (strange: number) => {
    const x = variable();
    const optimizer = adam(tf);
    for (let i = 0; i < 20; i++) await optimizer.step({ [x.name]: tf.tensor1d([1, 1]) }, 0.01);
    await optimizer.step({ [x.name]: tf.tensor1d([-strange, -strange]) }, 0.01);
    return numbers(x)[0]!;
  };
  expect(await after(1e6)).toBeCloseTo(await after(2.5), 3);
});

it('goes on from what was saved', async () => {
  const gradients = (x: tf.Variable, i: number) => ({ [x.name]: tf.tensor1d([i, 1 / i]) });
  const [x, y] = [variable(), variable()];
  const first = adam(tf);
  for (let i = 1; i < 4; i++) await first.step(gradients(x, i), 0.1);
  const second = adam(tf);
  await second.restore(await first.save());
  y.assign(x);
  await first.step(gradients(x, 4), 0.1);
  await second.step(gradients(y, 4), 0.1);
  expect(numbers(y)).toEqual(numbers(x));
});
