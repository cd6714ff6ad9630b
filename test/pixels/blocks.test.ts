import { expect, it } from 'vitest';
import { nativeAxis } from '../../src/head/query.ts';
import { MAX_STRIP_PIXELS, runs, strips } from '../../src/pixels/blocks.ts';

it('runs end with their blocks, and sites beyond the level count as its last ones', () => {
  const squares = { size: 8, fitted: false };
  expect(runs(nativeAxis(-2, 24), 20, squares)).toEqual([
    { from: 0, to: 10, first: 0, last: 8 },
    { from: 10, to: 18, first: 8, last: 16 },
    { from: 18, to: 24, first: 16, last: 19 },
  ]);
  expect(runs(nativeAxis(5, 14), 20, { size: 8, fitted: true })).toEqual([
    { from: 0, to: 8, first: 5, last: 13 },
    { from: 8, to: 14, first: 13, last: 19 },
  ]);
  expect(runs(nativeAxis(5, 3), 20, { size: 8, fitted: true })).toEqual([
    { from: 0, to: 3, first: 5, last: 8 },
  ]);
});

it('strips are of several blocks while they are small, and never larger than the most, of one row at least', () => {
  const rows = nativeAxis(0, 24);
  const squares = { size: 8, fitted: false };
  expect(strips(rows, 10, 24, squares)).toEqual([[0, 24]]);
  expect(strips(rows, 2 ** 17, 24, squares)).toEqual([
    [0, 16],
    [16, 24],
  ]);
  expect(strips(rows, MAX_STRIP_PIXELS / 5, 24, squares).slice(0, 3)).toEqual([
    [0, 5],
    [5, 8],
    [8, 13],
  ]);
  expect(strips(nativeAxis(0, 2), MAX_STRIP_PIXELS + 1, 24, squares)).toEqual([
    [0, 1],
    [1, 2],
  ]);
});
