import { expect, it } from 'vitest';
import { holdOut } from '../../src/train/hold-out.ts';
import { seededRandom } from '../../src/train/random.ts';

const paths = (count: number) => Array.from({ length: count }, (_, i) => `${i}.png`);

it.each([
  [4, 0],
  [5, 1],
  [40, 4],
  [1000, 12],
])('of %i pictures holds out %i', (count, expected) => {
  const { learned, held } = holdOut(paths(count), seededRandom(1));
  expect(held).toHaveLength(expected);
  expect([...learned, ...held].sort()).toEqual(paths(count).sort());
});

it('holds out the same ones for the same seed, at random', () => {
  const held = (seed: number) => holdOut(paths(50), seededRandom(seed)).held;
  expect(held(1)).toEqual(held(1));
  expect(held(1)).not.toEqual(held(2));
});
