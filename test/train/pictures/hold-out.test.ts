import { expect, it } from 'vitest';
import { holdOut } from '../../../src/train/pictures/hold-out.ts';
import { seededRandom } from '../../../src/train/random.ts';

const paths = (count: number) => Array.from({ length: count }, (_, i) => `${i}.png`);
const all = async () => true;

it.each([
  [4, 0],
  [5, 1],
  [40, 4],
  [1000, 12],
])('of %i pictures holds out %i', async (count, expected) => {
  const { learned, held } = await holdOut(paths(count), seededRandom(1), all);
  expect(held).toHaveLength(expected);
  expect([...learned, ...held].sort()).toEqual(paths(count).sort());
});

it('holds out the same ones for the same seed, at random', async () => {
  const held = async (seed: number) => (await holdOut(paths(50), seededRandom(seed), all)).held;
  expect(await held(1)).toEqual(await held(1));
  expect(await held(1)).not.toEqual(await held(2));
});

it('holds out pictures that are fit for it, and looks at no more than it has to', async () => {
  const unfit = (path: string) => Number.parseInt(path, 10) % 3 === 0;
  let looks = 0;
  const { learned, held } = await holdOut(paths(200), seededRandom(1), async (path) => {
    looks++;
    return !unfit(path);
  });
  expect(held).toHaveLength(12);
  expect(held.some(unfit)).toBe(false);
  // Of those that are unfit, the ones that it has met are gone.
  expect(learned.length).toBe(200 - looks);
});

it.each([
  [4, 0],
  [5, 1],
  [24, 3],
])('counts the pictures that are fit: of %i among 32 it holds out %i', async (count, expected) => {
  const fit = new Set(paths(count));
  const { learned, held } = await holdOut(paths(32), seededRandom(1), async (path) => fit.has(path));
  expect(held).toHaveLength(expected);
  expect(learned.filter((path) => fit.has(path))).toHaveLength(count - expected);
});
