import { expect, it } from 'vitest';
import { tileQuery } from '../../src/pixels/tile.ts';

it('shows at least a pixel of a picture so narrow that no center of a pixel lies on it', () => {
  const { width, height } = tileQuery({ width: 1, height: 1025 }, 0, 0n, 0n, 256);
  expect([width, height]).toEqual([1, 128]);
});

it('cuts tiles at the last pixel whose center lies on the picture', () => {
  const size = { width: 1000, height: 300 };
  expect(tileQuery(size, 2, 3n, 1n, 256)).toMatchObject({ width: 232, height: 44 });
  expect(tileQuery(size, 1, 0n, 0n, 256)).toMatchObject({ width: 256, height: 150 });
});
