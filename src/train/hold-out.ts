import { type Random, shuffled } from './random.ts';

/** Of fewer pictures none is held out. */
const FEWEST = 5;
const SHARE = 1 / 10;
const MOST = 12;

/**
 * Sets some pictures aside, at random, so that what was learned can be measured on others: one in ten, twelve at most. `isFit` says which can be
 * compared by; it is asked of as few as possible, and those that it rejects are in neither list.
 */
export async function holdOut(
  paths: readonly string[],
  random: Random,
  isFit: (path: string) => Promise<boolean>,
): Promise<{ learned: readonly string[]; held: readonly string[] }> {
  if (paths.length < FEWEST) return { learned: paths, held: [] };
  const order = shuffled(paths, random);
  const enough = Math.max(FEWEST, countOf(paths.length));
  const fit: string[] = [];
  let looked = 0;
  while (looked < order.length && fit.length < enough) {
    const path = order[looked++]!;
    if (await isFit(path)) fit.push(path);
  }
  const candidates = [...fit, ...order.slice(looked)];
  const count = countOf(candidates.length);
  return { learned: candidates.slice(count), held: candidates.slice(0, count) };
}

/** How many of so many pictures. */
function countOf(pictures: number): number {
  return pictures < FEWEST ? 0 : Math.min(MOST, Math.max(1, Math.round(pictures * SHARE)));
}
