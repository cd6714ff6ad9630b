import { type Random, shuffled } from './random.ts';

/** Of fewer pictures none is held out. */
const FEWEST = 5;
const SHARE = 1 / 10;
const MOST = 12;

/** Sets some pictures aside, at random, so that what was learned can be measured on others: one in ten, twelve at most. */
export function holdOut(
  paths: readonly string[],
  random: Random,
): { learned: readonly string[]; held: readonly string[] } {
  if (paths.length < FEWEST) return { learned: paths, held: [] };
  const count = Math.min(MOST, Math.max(1, Math.round(paths.length * SHARE)));
  const order = shuffled(paths, random);
  return { learned: order.slice(count), held: order.slice(0, count) };
}
