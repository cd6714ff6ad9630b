import { expect, it } from 'vitest';
import { planSampling } from '../../src/head/query.ts';
import {
  overviewAddress,
  overviewReduction,
  type Sized,
  thumbnailSide,
} from '../../viewer/picture/thumbnail-size.ts';

/** A card of the gallery. */
const CARD = { width: 320, height: 240 };

const photo = (width: number, height: number): Sized => ({ width, height, levels: 2, overviewFactor: 4 });

/** The level that the server decodes. */
function levelOf({ width, height, levels = 1, overviewFactor = 1 }: Sized, side: number): number {
  const scale = side / Math.max(width, height);
  const region = { x: 0, y: 0, width, height };
  return planSampling(region, Math.round(width * scale), Math.round(height * scale), levels, overviewFactor)
    .level;
}

it('a small image has as many pixels as the screen, in a few steps, and no more than the picture', () => {
  const picture = { width: 8000, height: 6000 };
  expect([1, 1.25, 2, 3, 8].map((ratio) => thumbnailSide(picture, CARD, ratio))).toEqual([
    320, 320, 640, 1280, 1280,
  ]);
  expect(thumbnailSide({ width: 200, height: 150 }, CARD, 3)).toBe(200);
});

it.each([
  [4032, 3024, 1008],
  [3024, 4032, 1008],
  [3000, 2001, 750],
  [2999, 2251, 749],
])(
  'a card of three pixels for each of CSS takes the overview of %i x %i, not all of the picture',
  (width, height, side) => {
    const picture = photo(width, height);
    const taken = thumbnailSide(picture, { width: 280, height: 210 }, 3);
    expect(taken).toBe(side);
    expect(levelOf(picture, taken)).toBe(1);
  },
);

it('an overview that would look blurred is not taken', () => {
  const picture = photo(1400, 1050);
  expect(thumbnailSide(picture, CARD, 3)).toBe(1280);
  expect(levelOf(picture, 1280)).toBe(0);
});

it('whatever its shape, a picture is asked for at a size that its overview has', () => {
  for (let width = 1100; width < 1400; width += 7)
    for (const height of [333, 701, 1099, 1100]) {
      const picture = photo(width, height);
      const side = thumbnailSide(picture, { width: width / 5, height: height / 5 }, 1.25);
      expect(side, `${width} x ${height}`).toBeGreaterThan(270);
      expect(levelOf(picture, side), `${width} x ${height}`).toBe(1);
    }
});

it.each([
  [{ width: 4032, height: 3024, levels: 2, overviewFactor: 4 }, 1008],
  [{ width: 6000, height: 4000, levels: 3, overviewFactor: 4 }, 1500],
  [{ width: 8000, height: 6000, levels: 3, overviewFactor: 4 }, 500],
  [{ width: 40_000, height: 10, levels: 2, overviewFactor: 4 }, undefined],
  [{ width: 1000, height: 800, levels: 1, overviewFactor: 4 }, undefined],
  [{ width: 4032, height: 3024 }, undefined],
])('beneath tiles of %j lies its overview of up to 1536 pixels', (picture, side) => {
  const thumbnail = '/iiif/3/a/full/!320,320/0/default.jpg?v=1';
  expect(overviewAddress({ ...picture, thumbnail })).toBe(
    side === undefined ? thumbnail : `/iiif/3/a/full/!${side},${side}/0/default.jpg?v=1`,
  );
  expect(overviewReduction(picture)).toBe(side === undefined ? 1 : picture.width / side);
});
