import { expect, it, vi } from 'vitest';
import { NATIVE_CELL } from '../../src/head/query.ts';
import type { Raster } from '../../src/image/raster.ts';
import type { RenderCall } from '../../src/pixels/render.ts';
import { copyPixels, knownPixels, liesOnSites, planePixels } from '../../src/pixels/site-pixels.ts';

const axisOf = (index: number[], fraction = 0) => ({
  index: Int32Array.from(index),
  fraction: new Int16Array(index.length).fill(fraction, 1),
  cell: NATIVE_CELL,
});

it('pixels lie on sites where each is one of those that follow each other in the level', () => {
  expect(liesOnSites(axisOf([3, 4, 5]))).toBe(true);
  expect(liesOnSites({ ...axisOf([3, 4, 5]), cell: 2 * NATIVE_CELL })).toBe(false);
  expect(liesOnSites(axisOf([-1, 0, 1]))).toBe(false);
  expect(liesOnSites(axisOf([3, 5, 7]))).toBe(false);
  expect(liesOnSites(axisOf([3, 4, 5], 1))).toBe(false);
});

it('kept pixels are asked for by their block, which ends with the level, and for both axes on sites', () => {
  const sitePixels = vi.fn();
  const call = {
    picture: { sitePixels, sites: () => ({ height: 20, width: 24 }) },
    blocks: { size: 16, fitted: false },
    signal: undefined,
  } as unknown as RenderCall;
  const on = axisOf([16, 17, 18]);
  const grid = { level: 1, rows: on, columns: on, depth: 8 } as const;
  const run = { from: 0, to: 3, first: 16, last: 19 };
  knownPixels(call, grid)?.(0, run, { ...run, to: 2 });
  expect(sitePixels).toHaveBeenCalledWith(1, 0, { top: 16, left: 16, height: 4, width: 8 }, 6, undefined);
  const off = axisOf([16, 17, 18], 1);
  expect(knownPixels(call, { ...grid, rows: off })).toBeUndefined();
  expect(knownPixels(call, { ...grid, columns: off })).toBeUndefined();
});

it('gray is a quarter of red and blue and half of green, rounded, in the depth of the samples', () => {
  const gray = planePixels(Uint16Array.of(0, 0, 2, 65_535, 65_535, 65_535), 1, true);
  expect(gray).toEqual({ width: 1, height: 2, channels: 1, data: Uint16Array.of(1, 65_535) });
});

it('alpha is the last channel, beside gray and beside color', () => {
  const from: Raster = { width: 1, height: 1, channels: 1, data: Uint8Array.of(9) };
  const place = (channels: 2 | 4) => {
    const into: Raster = { width: 1, height: 1, channels, data: new Uint8Array(channels) };
    copyPixels(from, { top: 0, left: 0, height: 1, width: 1 }, into, 0, 0, true);
    return [...into.data];
  };
  expect([place(2), place(4)]).toEqual([
    [0, 9],
    [0, 0, 0, 9],
  ]);
});
