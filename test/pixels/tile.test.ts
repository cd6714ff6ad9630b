import { expect, it } from 'vitest';
import { namesPixel, nativeZoom, pointQuery, tileQuery } from '../../src/pixels/tile.ts';

it('shows at least a pixel of a picture so narrow that no center of a pixel lies on it', () => {
  const { width, height } = tileQuery({ width: 1, height: 1025 }, 0, 0n, 0n, 256);
  expect([width, height]).toEqual([1, 128]);
});

it('cuts tiles at the last pixel whose center lies on the picture', () => {
  const size = { width: 1000, height: 300 };
  expect(tileQuery(size, 2, 3n, 1n, 256)).toMatchObject({ width: 232, height: 44 });
  expect(tileQuery(size, 1, 0n, 0n, 256)).toMatchObject({ width: 256, height: 150 });
});

it('shows native pixels at the zoom from which on the picture is as large as its tiles together', () => {
  const zooms = [1, 256, 257, 512, 513].map((width) => nativeZoom({ width, height: 1 }));
  expect(zooms).toEqual([0, 0, 1, 1, 2]);
  expect(nativeZoom({ width: 1, height: 257 })).toBe(1);
  const size = { width: 1000, height: 300 };
  expect(tileQuery(size, 1, 1n, 0n, 512)).toMatchObject({
    region: { x: { numerator: 512n, denominator: 1n }, y: { numerator: 0n } },
    depth: 8,
  });
  // A sixteenth of a pixel for each.
  const deep = tileQuery(size, 6, 5n, 7n, 256).region;
  expect([deep.x, deep.y, deep.width]).toEqual(
    [80n, 112n, 16n].map((numerator) => ({ numerator: numerator * 16n, denominator: 16n })),
  );
});

it('asks for the pixel that whole numbers name, and for a quarter of one around any other point', () => {
  const at = (numerator: bigint, denominator: bigint) => ({ numerator, denominator });
  const one = { width: 1, height: 1, depth: 8 };
  expect(namesPixel(at(6n, 2n), at(5n, 1n))).toBe(true);
  expect(pointQuery(at(6n, 2n), at(5n, 1n))).toEqual({
    region: { x: at(6n, 2n), y: at(5n, 1n), width: 1, height: 1 },
    ...one,
  });
  for (const [x, y] of [
    [at(7n, 2n), at(5n, 1n)],
    [at(5n, 1n), at(7n, 2n)],
  ] as const)
    expect(namesPixel(x, y)).toBe(false);
  expect(pointQuery(at(7n, 2n), at(5n, 1n))).toEqual({
    region: { x: at(54n, 16n), y: at(39n, 8n), width: 0.25, height: 0.25 },
    ...one,
  });
});
