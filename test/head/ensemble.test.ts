import { describe, expect, it } from 'vitest';
import type { Axis } from '../../src/engine/engine.ts';
import { ensembleWeights, renderQuery, type SiteWindow } from '../../src/head/ensemble.ts';
import type { Head } from '../../src/network/model.ts';

const HIDDEN = 8;

/** A head that copies hidden units 0, 1, 2 to R, G, B: one unit of P is 1/64 of a level. */
function plainHead(change: Partial<Head> = {}): Head {
  const outputWeight = new Int16Array(3 * HIDDEN);
  for (let o = 0; o < 3; o++) outputWeight[o * HIDDEN + o] = 256;
  return {
    hidden: HIDDEN,
    limit: 32767,
    rowWeight: new Int16Array(HIDDEN),
    columnWeight: new Int16Array(HIDDEN),
    cellRowWeight: new Int16Array(HIDDEN),
    cellColumnWeight: new Int16Array(HIDDEN),
    cellShift: 12,
    outputWeight,
    outputBias: new Int32Array(3),
    outputShift: 14,
    ...change,
  };
}

/** Sites (rows, columns) whose units are all value(row, column). */
function sites(rows: number, columns: number, value: (row: number, column: number) => number): SiteWindow {
  const data = new Int16Array(rows * columns * HIDDEN).map((_, i) => {
    const site = Math.floor(i / HIDDEN);
    return value(Math.floor(site / columns), site % columns);
  });
  const level = { height: rows, width: columns };
  return { rect: { top: 0, left: 0, ...level }, level, data };
}

const axis = (index: number[], fraction: number[], cell = 4096): Axis => ({
  index: Int32Array.from(index),
  fraction: Int16Array.from(fraction),
  cell,
});

const red = (samples: ArrayLike<number>) => Array.from(samples).filter((_, i) => i % 3 === 0);

describe('ensemble weights', () => {
  it('add up to 2^14 and are never negative, for any fractions', () => {
    for (let fr = 0; fr < 16384; fr += 127) {
      for (const fc of [0, 1, 2, 127, 8191, 8192, 8193, 16000, 16382, 16383, fr]) {
        const weights = ensembleWeights(fr, fc);
        expect(weights[0] + weights[1] + weights[2] + weights[3]).toBe(16384);
        expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
      }
    }
  });

  it('are the areas of the opposite rectangles: rows first', () => {
    expect(ensembleWeights(0, 0)).toEqual([16384, 0, 0, 0]);
    expect(ensembleWeights(12288, 4096)).toEqual([3072, 1024, 9216, 3072]);
  });
});

describe('renderQuery', () => {
  it('blends four sites as bilinear interpolation does when the head is linear', () => {
    const features = sites(4, 4, (row, column) => 64 * (20 * row + 5 * column));
    const query = { rows: axis([1, 2], [8192, 0]), columns: axis([0, 1], [0, 4096]), depth: 8 as const };
    expect(red(renderQuery(plainHead(), features, query))).toEqual([30, 36, 40, 46]);
  });

  it('takes the nearest site of the level where there is none', () => {
    const features = sites(2, 3, (row, column) => 64 * (100 * row + 10 * column));
    const query = {
      rows: axis([-5, 7], [8192, 8192]),
      columns: axis([-1, 2, 2000000], [1, 9000, 3]),
      depth: 8 as const,
    };
    expect(red(renderQuery(plainHead(), features, query))).toEqual([0, 20, 20, 100, 120, 120]);
  });

  it('counts sites from the level even where the window begins later', () => {
    const all = sites(6, 6, (row, column) => 64 * (30 * row + column));
    const rect = { top: 2, left: 3, height: 3, width: 2 };
    const data = new Int16Array(rect.height * rect.width * HIDDEN);
    for (let row = 0; row < 3; row++) {
      const from = ((row + 2) * 6 + 3) * HIDDEN;
      data.set(all.data.subarray(from, from + 2 * HIDDEN), row * 2 * HIDDEN);
    }
    const query = { rows: axis([2, 3], [100, 9000]), columns: axis([3, 3], [5000, 0]), depth: 16 as const };
    const part = renderQuery(plainHead(), { rect, level: all.level, data }, query);
    expect(part).toEqual(renderQuery(plainHead(), all, query));
  });

  it('adds row, column and cell terms with their signs', () => {
    // 6400 = 100 levels. At fraction 1/4 the upper and left sites lie 1/4 behind, the lower and right ones
    // 3/4 ahead.
    const features = sites(2, 2, () => 6400);
    const pixel = (head: Head, fr: number, fc: number, cell = 4096) =>
      red(
        renderQuery(head, features, { rows: axis([0], [fr], cell), columns: axis([0], [fc]), depth: 8 }),
      )[0];
    const weight = new Int16Array(HIDDEN).fill(640);
    // (3/4)(+1/4) + (1/4)(-3/4) = 0: a linear head cancels; at fraction 0 only the first site counts.
    expect(pixel(plainHead({ rowWeight: weight }), 4096, 0)).toBe(100);
    expect(pixel(plainHead({ rowWeight: weight, columnWeight: weight }), 0, 0)).toBe(100);
    expect(pixel(plainHead({ cellRowWeight: weight }), 0, 0)).toBe(110);
    expect(pixel(plainHead({ cellRowWeight: weight }), 0, 0, 1024)).toBe(103);
    expect(pixel(plainHead({ rowWeight: new Int16Array(HIDDEN).fill(8000) }), 4096, 0)).toBe(100);
    // Not linear any more: the lower sites fall below zero and count as nothing. 3/4 * (6400 + 32000/4) =
    // 10800 = 168.75 * 64.
    expect(pixel(plainHead({ rowWeight: new Int16Array(HIDDEN).fill(32000) }), 4096, 0)).toBe(169);
    expect(pixel(plainHead({ columnWeight: new Int16Array(HIDDEN).fill(32000) }), 0, 4096)).toBe(169);
  });

  it('saturates where sums leave int16, at either end', () => {
    const extreme = new Int16Array(HIDDEN).fill(32767);
    const lowest = new Int16Array(HIDDEN).fill(-32768);
    const query = { rows: axis([0], [16383], 16384), columns: axis([0], [16383], 16384), depth: 8 as const };
    const bright = plainHead({
      rowWeight: extreme,
      columnWeight: extreme,
      cellRowWeight: extreme,
      cellShift: 1,
    });
    expect(
      red(
        renderQuery(
          bright,
          sites(2, 2, () => 32767),
          query,
        ),
      ),
    ).toEqual([255]);
    const dark = plainHead({ cellRowWeight: lowest, cellColumnWeight: lowest, cellShift: 1 });
    expect(
      red(
        renderQuery(
          dark,
          sites(2, 2, () => 32767),
          query,
        ),
      ),
    ).toEqual([0]);
    // sat16 at every addition: 32767 + 32767 stays 32767, minus 32768 leaves -1, so nothing is left.
    const mixed = plainHead({
      rowWeight: lowest,
      cellRowWeight: extreme,
      columnWeight: lowest,
      cellShift: 1,
    });
    const top = { rows: axis([0], [16383], 16384), columns: axis([0], [16383], 4096), depth: 16 as const };
    expect(
      red(
        renderQuery(
          mixed,
          sites(2, 2, () => 32767),
          top,
        ),
      ),
    ).toEqual([65535]);
  });

  it('saturates what a site and its row add up to, and that with its column', () => {
    const [extreme, lowest] = [32767, -32768].map((value) => new Int16Array(HIDDEN).fill(value));
    const full = sites(2, 2, () => 32767);
    const query = { rows: axis([0], [0]), columns: axis([0], [8192]), depth: 16 as const };
    // On one side the column takes half away, on the other it adds as much.
    const faint = { outputWeight: new Int16Array(3 * HIDDEN).fill(1, 0, 1), outputShift: 9 };
    const level = (hidden: number) => (Math.round(hidden / 2) * 257 + 128) >> 8;
    const column = plainHead({ ...faint, columnWeight: extreme! });
    expect(red(renderQuery(column, full, query))).toEqual([level((16_383 + 32_767) / 2)]);
    const row = plainHead({ ...faint, columnWeight: lowest!, cellRowWeight: extreme! });
    expect(red(renderQuery(row, full, query))).toEqual([level((16_383 + 32_767) / 2)]);
  });

  it('renders 16 bits from the same sum, eight bits finer', () => {
    const features = sites(2, 2, () => 6432); // 100.5 levels
    const at = (depth: 8 | 16) => ({ rows: axis([0], [0]), columns: axis([0], [0]), depth });
    expect(red(renderQuery(plainHead(), features, at(8)))).toEqual([101]);
    expect(red(renderQuery(plainHead(), features, at(16)))).toEqual([(25728 * 257 + 128) >> 8]);
    const white = plainHead({ outputBias: Int32Array.of(2 ** 30, -(2 ** 30), 0) });
    expect([...renderQuery(white, features, at(16))]).toEqual([65535, 0, (25728 * 257 + 128) >> 8]);
    expect([...renderQuery(white, features, at(8))]).toEqual([255, 0, 101]);
  });
});

it('gives samples of the depth that is asked for, rounded to the nearest', () => {
  // Hidden unit 0 weighs nothing here: what is seen is the bias, in 256ths of a level.
  const sampled = (value: number, depth: 8 | 16) =>
    renderQuery(
      plainHead({ outputWeight: new Int16Array(3 * HIDDEN), outputBias: new Int32Array(3).fill(value << 6) }),
      sites(2, 2, () => 0),
      { rows: axis([0], [0]), columns: axis([0], [0]), depth },
    );
  expect(sampled(128, 8)).toEqual(new Uint8Array(3).fill(1));
  for (const value of [-1, 0, 126, 127, 128, 383, 40_319, 65_279, 65_280, 65_281])
    expect(sampled(value, 16)).toEqual(
      new Uint16Array(3).fill(Math.floor((Math.max(0, Math.min(65_280, value)) * 257 + 128) / 256)),
    );
});

it('rounds a blend of sites that is just short of a half down', () => {
  const units = (value: number) => sites(2, 2, (row) => (row === 1 ? value : 0));
  const query = { rows: axis([0], [8191]), columns: axis([0], [0]), depth: 8 } as const;
  const outputWeight = new Int16Array(3 * HIDDEN).fill(1);
  const head = plainHead({ outputWeight, outputShift: 1 });
  // 8 units of 1 or 2, of which 8191 / 16384 count.
  expect([...renderQuery(head, units(1), query)]).toEqual([0, 0, 0]);
  expect([...renderQuery(head, units(2), query)]).toEqual([4, 4, 4]);
});
