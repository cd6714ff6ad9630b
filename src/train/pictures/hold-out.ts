import { type Random, shuffled } from '../random.ts';

/** With fewer pictures none is held out. */
const FEWEST_PICTURES = 5;
const HELD_SHARE = 1 / 10;
const MOST_HELD = 12;

/**
 * Holds some pictures out at random, to measure the model on pictures that it has not learned from: one in
 * ten, at most twelve. `isFit` says whether models can be compared on a picture. It is called for as few as
 * possible, and pictures that it rejects are in neither list.
 */
export async function holdOut(
  paths: readonly string[],
  random: Random,
  isFit: (path: string) => Promise<boolean>,
): Promise<{ learned: readonly string[]; held: readonly string[] }> {
  if (paths.length < FEWEST_PICTURES) return { learned: paths, held: [] };
  const order = shuffled(paths, random);
  const enough = Math.max(FEWEST_PICTURES, countOf(paths.length));
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

/** How many of `pictures` are held out. */
function countOf(pictures: number): number {
  return pictures < FEWEST_PICTURES ? 0 : Math.min(MOST_HELD, Math.max(1, Math.round(pictures * HELD_SHARE)));
}
