import { describe, expect, it } from 'vitest';
import {
  blockOf,
  gridSpan,
  isReduction,
  nativeAxis,
  planSampling,
  sampleAxis,
  tapsOf,
} from '../../src/head/query.ts';
import { parseDecimal, toNumber, toRational } from '../../src/head/rational.ts';

describe('exact numbers', () => {
  it('takes a double for exactly what it is', () => {
    expect(toRational(0.1)).toEqual({ numerator: 3602879701896397n, denominator: 1n << 55n });
    expect(toRational(-2.5)).toEqual({ numerator: -5n, denominator: 2n });
    expect(toRational(5e-324)).toEqual({ numerator: 1n, denominator: 1n << 1074n });
  });
  it('refuses what is not a number', () => {
    expect(() => toRational(Number.NaN)).toThrow(RangeError);
    expect(() => toRational(Number.POSITIVE_INFINITY)).toThrow(RangeError);
    expect(() => toRational({ numerator: 1n, denominator: 0n })).toThrow(RangeError);
    // As of programs without types.
    const numbers = JSON.parse('{ "numerator": 1, "denominator": 2 }');
    expect(() => toRational(numbers)).toThrow('a fraction is of two bigints');
  });
  it('reads decimals as they are written, and nothing else', () => {
    expect(parseDecimal('-0.25')).toEqual({ numerator: -25n, denominator: 100n });
    expect(parseDecimal('12')).toEqual({ numerator: 12n, denominator: 1n });
    const long = '9'.repeat(310);
    expect(parseDecimal(`${long}.${long}`)?.denominator).toBe(10n ** 310n);
    for (const text of [
      '',
      '-',
      '.5',
      '5.',
      '1e3',
      '0x1',
      ' 1',
      '1 ',
      'NaN',
      '+1',
      '1.2.3',
      `${long}9`,
      `0.${long}9`,
    ])
      expect(parseDecimal(text), text).toBeUndefined();
  });
  it('comes back as the nearest double', () => {
    expect(toNumber({ numerator: -1n, denominator: 3n })).toBeCloseTo(-1 / 3, 15);
  });
});

describe('a reduction', () => {
  const far = (log2: bigint) =>
    planSampling({ x: 0, y: 0, width: 2n ** log2, height: 2n ** log2 }, 1, 1, 1, 4);
  it('is refused where samples of a block could not be added up exactly', () => {
    expect(far(20n).density).toEqual({ rows: 2 ** 20, columns: 2 ** 20 });
    for (const log2 of [21n, 40n, 400n]) expect(() => far(log2)).toThrow('is not computed');
    const thin = { x: 0, y: 0, width: 2n ** 28n, height: 1 };
    expect(planSampling(thin, 1, 1, 1, 4).density).toEqual({ rows: 1, columns: 2 ** 28 });
  });
});

describe('sample positions', () => {
  it('hits every site at native scale', () => {
    const axis = sampleAxis(0, 5, 5, 1n, 16);
    expect([...axis.index]).toEqual([0, 1, 2, 3, 4]);
    expect([...axis.fraction]).toEqual([0, 0, 0, 0, 0]);
    expect(axis.cell).toBe(4096);
  });
  it('places four samples around a site when enlarging twice', () => {
    const axis = sampleAxis(0, 2, 4, 1n, 16);
    expect([...axis.index]).toEqual([-1, 0, 0, 1]);
    expect([...axis.fraction]).toEqual([12288, 4096, 12288, 4096]);
    expect(axis.cell).toBe(2048);
  });
  it('holds cells within 1/4 and 4', () => {
    expect(sampleAxis(0, 1, 1000, 1n, 16).cell).toBe(1024);
    expect(sampleAxis(0, 16, 1, 1n, 16).cell).toBe(16384);
  });
  it('rounds cells to the nearest', () => {
    expect([1, 2].map((length) => sampleAxis(0, length, 3, 1n, 16).cell)).toEqual([1365, 2731]);
  });
  it('computes in doubles what it computes in whole numbers of any size', () => {
    let seed = 3;
    const random = (limit: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return BigInt(Math.floor((seed / 2 ** 32) * limit));
    };
    const long = 10n ** 30n;
    for (let trial = 0; trial < 300; trial++) {
      const start = { numerator: random(40_000) - 20_000n, denominator: 1n + random(trial) };
      const length = { numerator: 1n + random(20_000), denominator: 1n + random(trial) };
      const count = 1 + Number(random(500));
      const reduction = 4n ** random(3);
      const axis = sampleAxis(start, length, count, reduction, 700, -3, count + 5);
      // The same start, spelled so long that no double holds it.
      const longer = { numerator: start.numerator * long, denominator: start.denominator * long };
      expect(axis).toEqual(sampleAxis(longer, length, count, reduction, 700, -3, count + 5));
    }
  });
  it('does so where doubles begin to be too short for it', () => {
    const long = 10n ** 30n;
    for (let bits = 15n; bits < 55n; bits++) {
      for (const sign of [1n, -1n]) {
        const [numerator, denominator] = [sign * ((1n << bits) / 3n), 7n];
        const sites = 2 ** 31 - 1;
        const longer = { numerator: numerator * long, denominator: denominator * long };
        for (const pixels of [(1n << bits) + 1n, 40n]) {
          const length = { numerator: pixels, denominator: 7n };
          const axis = sampleAxis({ numerator, denominator }, length, 100, 1n, sites);
          expect(axis).toEqual(sampleAxis(longer, length, 100, 1n, sites));
        }
      }
    }
  });
  it('does so right before the center of a site, however small the pixels are', () => {
    const long = 10n ** 30n;
    for (let bits = 10n; bits < 70n; bits++) {
      const length = { numerator: 1n, denominator: 1n << bits };
      const axis = sampleAxis({ numerator: 1n, denominator: 2n }, length, 256, 1n, 10, -4, 4);
      const longer = { numerator: long, denominator: 2n * long };
      expect(axis).toEqual(sampleAxis(longer, length, 256, 1n, 10, -4, 4));
    }
  });
  it('lies on the sites at native scale', () => {
    expect(nativeAxis(5, 3)).toEqual(sampleAxis(5, 3, 3, 1n, 16));
  });
  it('joins without a gap when a region is cut', () => {
    const whole = sampleAxis(
      { numerator: 1n, denominator: 3n },
      { numerator: 22n, denominator: 7n },
      100,
      4n,
      64,
    );
    const right = sampleAxis(
      { numerator: 1n, denominator: 3n },
      { numerator: 22n, denominator: 7n },
      100,
      4n,
      64,
      37,
      100,
    );
    expect(right.index).toEqual(whole.index.slice(37));
    expect(right.fraction).toEqual(whole.fraction.slice(37));
  });
  it('does not drift at 2^60 times', () => {
    const scale = 1n << 60n;
    const tile = 123456789012345678901n; // a tile of 256 samples, counted from the left
    const axis = sampleAxis(
      { numerator: tile * 256n, denominator: scale },
      { numerator: 256n, denominator: scale },
      256,
      1n,
      1 << 20,
    );
    const u = (tile * 256n * 2n + 1n) * 16384n - scale * 16384n; // (X - 1/2) * 2 * scale, in Q14
    const expected = u / (2n * scale);
    expect(BigInt(axis.index[0] ?? 0) * 16384n + BigInt(axis.fraction[0] ?? 0)).toBe(expected);
  });
  it('keeps far away positions in the range of sites', () => {
    const axis = sampleAxis(-(10n ** 30n), 2n * 10n ** 30n, 3, 1n, 32);
    expect([...axis.index]).toEqual([-1, -1, 31]);
  });
});

describe('level choice', () => {
  const region = (size: number) => ({ x: 0, y: 0, width: size, height: size });
  it('takes the finer of two levels', () => {
    expect(planSampling(region(1000), 1000, 1000, 3, 4).level).toBe(0);
    expect(planSampling(region(1000), 251, 251, 3, 4).level).toBe(0);
    expect(planSampling(region(1000), 250, 250, 3, 4).level).toBe(1);
    expect(planSampling(region(1600), 100, 100, 3, 4).level).toBe(2);
  });
  it('follows the axis that is reduced less', () => {
    expect(planSampling({ x: 0, y: 0, width: 1600, height: 300 }, 100, 100, 3, 4).level).toBe(0);
  });
  it('samples more densely as soon as the level is reduced', () => {
    const density = (size: number, count: number) => planSampling(region(size), count, count, 1, 4).density;
    expect(density(100, 100)).toEqual({ rows: 1, columns: 1 });
    expect(density(101, 100)).toEqual({ rows: 2, columns: 2 });
    expect(density(400, 100)).toEqual({ rows: 4, columns: 4 });
    expect(density(401, 100)).toEqual({ rows: 8, columns: 8 });
    const both = planSampling({ x: 0, y: 0, width: 100, height: 300 }, 100, 100, 1, 4);
    expect(both.density).toEqual({ rows: 4, columns: 1 });
  });
  it('is a reduction where one axis is one', () => {
    const reduces = (width: number, height: number) =>
      isReduction(planSampling({ x: 0, y: 0, width, height }, 100, 100, 1, 4));
    expect([reduces(100, 100), reduces(200, 100), reduces(100, 101), reduces(50, 100)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
  it('filters blocks of more grid pixels rather than more than four blocks', () => {
    expect([1, 2, 4, 8, 16].map(blockOf)).toEqual([1, 1, 1, 2, 4]);
    expect([1, 2, 4, 8, 16].map(tapsOf)).toEqual([1, 2, 4, 4, 4]);
  });
  it('refuses what no grid could hold', () => {
    const tall = (size: number) => ({ ...region(1), height: size });
    expect(planSampling(tall(2 ** 28), 1, 1, 1, 4).density.rows).toBe(2 ** 28);
    for (const size of [2 ** 28 + 1, 1e30])
      expect(() => planSampling(tall(size), 1, 1, 1, 4)).toThrow('to less than 1/268435456 is not computed');
  });
  it('refuses what no sum could hold', () => {
    expect(planSampling(region(2 ** 20), 1, 1, 1, 4).density).toEqual({ rows: 2 ** 20, columns: 2 ** 20 });
    expect(() => planSampling(region(2 ** 20 + 1), 1, 1, 1, 4)).toThrow(
      'to less than 1/524288 is not computed',
    );
  });
});

describe('the grid of a reduction', () => {
  it('has a margin, and repeats what lies at the border of the picture', () => {
    expect(gridSpan(0, 100, 50, 2, 100n, 0, 50)).toEqual({ first: 0n, count: 100, wanted: 106, shift: -3 });
    expect(gridSpan(0, 100, 50, 2, 100n, 10, 20)).toEqual({ first: 17n, count: 26, wanted: 26, shift: 0 });
  });
  it('ends where the level does, not where the region does', () => {
    expect(gridSpan(20, 40, 10, 4, 100n, 0, 10)).toEqual({ first: -6n, count: 52, wanted: 52, shift: 0 });
    expect(gridSpan(90, 20, 10, 2, 100n, 0, 10)).toEqual({ first: -3n, count: 13, wanted: 26, shift: 0 });
  });
  it('is one pixel far outside', () => {
    expect(gridSpan(1000, 20, 10, 2, 100n, 0, 10)).toMatchObject({ first: -901n, count: 1, wanted: 26 });
    expect(gridSpan(-(10n ** 20n), 20, 10, 2, 100n, 0, 10)).toMatchObject({ first: 10n ** 20n, count: 1 });
    const shiftAt = (start: bigint) => gridSpan(start, 20, 10, 2, 100n, 0, 10).shift;
    expect([shiftAt(-(10n ** 20n)), shiftAt(10n ** 20n)]).toEqual([-(2 ** 31 - 1), 2 ** 31 - 1]);
  });
});

it('samples exactly where a fraction lies just below a step, however long its numbers are', () => {
  for (const bits of [34n, 35n, 36n, 37n, 38n, 40n, 44n]) {
    const q = (1n << bits) + 1n;
    const p = (q - inverseOf(8192n, q)) % q;
    const start = { numerator: 1n, denominator: 1n };
    const { index, fraction } = sampleAxis(start, { numerator: p, denominator: q }, 1, 1n, 100);
    // Of 1 + p / 2q - 1/2, in steps of 2^-14.
    expect((BigInt(index[0]!) << 14n) + BigInt(fraction[0]!)).toBe(((q + p) << 14n) / (2n * q));
  }
});

/** x with a * x = 1 modulo m, by Euclid. */
function inverseOf(a: bigint, m: bigint): bigint {
  let [r, next, x, nextX] = [m, a % m, 0n, 1n];
  while (next !== 0n) {
    const q = r / next;
    [r, next] = [next, r - q * next];
    [x, nextX] = [nextX, x - q * nextX];
  }
  return ((x % m) + m) % m;
}
