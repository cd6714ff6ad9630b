import { expect, it } from 'vitest';
import { nativeBatch, nextBatch } from '../../../src/train/pictures/batches.ts';
import type { Piece } from '../../../src/train/pictures/corpus.ts';
import { seededRandom } from '../../../src/train/random.ts';

/** Colors that name their place: red is x/2, green y/2, so that any window shows what it was cut from. */
const gradient: Piece = {
  width: 400,
  height: 380,
  data: Uint8Array.from({ length: 400 * 380 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 400, Math.floor(i / 1200)];
    return [x / 2, y / 2, 7][i % 3]!;
  }),
};
const options = (seed: number) =>
  ({ pieces: [gradient], random: seededRandom(seed), count: 2, side: 256, qualities: [30, 60] }) as const;

it('draws the same batch from the same seed, and another from another', async () => {
  const [a, b, c] = [await nextBatch(options(1)), await nextBatch(options(1)), await nextBatch(options(2))];
  expect(a).toEqual(b);
  expect(a).not.toEqual(c);
});

it('keeps to the qualities that are asked for', async () => {
  for (let seed = 0; seed < 20; seed++)
    for (const quality of (await nativeBatch(options(seed))).quality) {
      expect(quality + 1).toBeGreaterThanOrEqual(30);
      expect(quality + 1).toBeLessThanOrEqual(60);
    }
});

it('asks for a window of an enlargement that shows what the picture shows there', async () => {
  let found = 0;
  for (let seed = 0; seed < 30; seed++) {
    const { pictures, side, count, enlarged } = await nextBatch(options(seed));
    if (!enlarged) continue;
    found++;
    const { place, target } = enlarged;
    expect([side, count, place.size]).toEqual([128, 4, 128]);
    expect(place.scale).toBeGreaterThanOrEqual(1);
    expect(place.scale).toBeLessThanOrEqual(380 / 128);
    // Pixel (40, 70) of the window, at its center in the picture that is coded.
    for (let i = 0; i < count; i++) {
      const [row, column] = [(place.top + 40.5) / place.scale, (place.left + 70.5) / place.scale];
      const at = (y: number, x: number, c: number) =>
        pictures[((i * side + Math.floor(y)) * side + Math.floor(x)) * 3 + c]!;
      for (const c of [0, 1])
        expect(Math.abs(target[((i * 128 + 40) * 128 + 70) * 3 + c]! - at(row, column, c))).toBeLessThan(4);
    }
  }
  expect(found).toBeGreaterThan(3);
});
