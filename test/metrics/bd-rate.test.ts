import { describe, expect, it } from 'vitest';
import { bdRate, msSsimDecibels, type RatePoint } from '../../src/metrics/bd-rate.ts';

const curve = (points: [number, number][]): RatePoint[] =>
  points.map(([rate, quality]) => ({ rate, quality }));

describe('bdRate', () => {
  it('is the factor between curves that differ by one', () => {
    const anchor = curve([
      [0.2, 28],
      [0.4, 31],
      [0.7, 33.5],
      [1.5, 38],
    ]);
    const smaller = anchor.map(({ rate, quality }) => ({ rate: rate * 0.8, quality }));
    expect(bdRate(anchor, smaller)).toBeCloseTo(-0.2, 12);
    expect(bdRate(smaller, anchor)).toBeCloseTo(0.25, 12);
    expect(bdRate(anchor, anchor)).toBe(0);
  });

  it('averages the logarithm of the rate over the common qualities', () => {
    // ln(rate) = q/6 and q/5 - 1: straight lines, which piecewise cubics keep. Common: 31 .. 38.
    const line = (qualities: number[], lnRate: (q: number) => number) =>
      qualities.map((quality) => ({ rate: Math.exp(lnRate(quality)), quality }));
    const anchor = line([28, 30, 35, 38], (q) => q / 6);
    const test = line([31, 32, 36, 40], (q) => q / 5 - 1);
    const middle = (31 + 38) / 2;
    expect(bdRate(anchor, test)).toBeCloseTo(Math.expm1(middle / 5 - 1 - middle / 6), 10);
  });

  it('gives what a numerical integral of the same interpolation gives', () => {
    // Expected values: numpy, Hermite basis with the slopes of Fritsch and Butland, trapezoids over 2,000,001
    // points.
    const a = curve([
      [0.15, 27.2],
      [0.33, 29.9],
      [0.62, 32.4],
      [0.95, 34.3],
      [1.4, 36.5],
    ]);
    const b = curve([
      [0.12, 27.9],
      [0.25, 29.5],
      [0.6, 33.1],
      [0.8, 34.0],
      [1.5, 37.6],
      [2.2, 39],
    ]);
    expect(bdRate(a, b)).toBeCloseTo(-0.16304747129944153, 9);
    expect(bdRate(b, a)).toBeCloseTo(0.19481089513235217, 9);
    expect(bdRate([...a].reverse(), b)).toBe(bdRate(a, b));
  });

  it('refuses curves that cannot be compared', () => {
    const good = curve([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
    const far = good.map(({ rate, quality }) => ({ rate, quality: quality + 10 }));
    expect(() => bdRate(good, far)).toThrow('no qualities in common');
    expect(() => bdRate(good, good.slice(1))).toThrow('at least 4 points but received 3');
    expect(() =>
      bdRate(
        good,
        curve([
          [1, 1],
          [2, 1],
          [3, 2],
          [4, 3],
        ]),
      ),
    ).toThrow('the same quality');
    expect(() =>
      bdRate(
        good,
        curve([
          [1, 1],
          [2, 2],
          [3, 3],
          [4, Number.POSITIVE_INFINITY],
        ]),
      ),
    ).toThrow('finite');
  });
});

it('spreads MS-SSIM near 1', () => {
  expect(msSsimDecibels(0.9)).toBeCloseTo(10, 10);
  expect(msSsimDecibels(0.99)).toBeCloseTo(20, 10);
});
