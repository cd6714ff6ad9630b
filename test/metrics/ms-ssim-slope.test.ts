import { expect, it } from 'vitest';
import { msSsim } from '../../src/metrics/ms-ssim.ts';
import { msSsimSlope, type Plane } from '../../src/metrics/ms-ssim-slope.ts';
import { randomSource } from '../fixtures/tiny-model.ts';

const WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
const C1 = 2.55 ** 2;
const C2 = 12 * 7.65 ** 2;

function plane(width: number, height: number, at: (x: number, y: number) => number): Plane {
  return {
    width,
    height,
    data: Float64Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width))),
  };
}

/** A soft picture, and the same with noise and less contrast. */
function pair(width: number, height: number): [shown: Plane, wanted: Plane] {
  const random = randomSource(4);
  const wanted = plane(
    width,
    height,
    (x, y) => 120 + 60 * Math.sin(x / 7) * Math.cos(y / 11) + 20 * random(),
  );
  const shown = {
    ...wanted,
    data: wanted.data.map((value) => 130 + 0.8 * (value - 120) + 15 * (random() - 0.5)),
  };
  return [shown, wanted];
}

/** The logarithm whose slope is asked for, window by window. */
function logarithm(a: Plane, b: Plane): number {
  const scales = WEIGHTS.filter((_, i) => Math.min(a.width, a.height) >> i >= 8);
  const total = scales.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  for (const [i, weight] of scales.entries()) {
    const terms: number[] = [];
    for (let top = 0; top + 8 <= a.height; top += 4)
      for (let left = 0; left + 8 <= a.width; left += 4)
        terms.push(similarity(a, b, top, left, i === scales.length - 1));
    sum += (weight / total) * Math.log(terms.reduce((all, term) => all + term, 0) / terms.length);
    [a, b] = [halved(a), halved(b)];
  }
  return sum;
}

function similarity(a: Plane, b: Plane, top: number, left: number, last: boolean): number {
  const mean = (of: (i: number) => number) =>
    Array.from({ length: 64 }, (_, i) => of((top + (i >> 3)) * a.width + left + (i & 7))).reduce(
      (x, y) => x + y,
    ) / 64;
  const [ma, mb] = [mean((i) => a.data[i]!), mean((i) => b.data[i]!)];
  const covariance = mean((i) => (a.data[i]! - ma) * (b.data[i]! - mb));
  const variances = mean((i) => (a.data[i]! - ma) ** 2 + (b.data[i]! - mb) ** 2);
  const luminance = last ? (2 * ma * mb + C1) / (ma * ma + mb * mb + C1) : 1;
  return (luminance * (2 * covariance + C2)) / (variances + C2);
}

function halved({ width, height, data }: Plane): Plane {
  return plane(width >> 1, height >> 1, (x, y) => {
    const i = 2 * y * width + 2 * x;
    return (data[i]! + data[i + 1]! + data[i + width]! + data[i + width + 1]!) / 4;
  });
}

it.each([
  ['five scales', 150, 131],
  ['two scales and odd sides', 31, 25],
  ['one window', 9, 11],
])('is the derivative of the logarithm, as differences show: %s', (_, width, height) => {
  const [shown, wanted] = pair(width, height);
  const slope = msSsimSlope(shown, wanted)!;
  const random = randomSource(5);
  for (let trial = 0; trial < 3; trial++) {
    const direction = slope.map((value) => value + 0.3 * Math.abs(value) * (random() - 0.5));
    const size = 0.01 / Math.max(...direction.map(Math.abs));
    const moved = (sign: number) => ({
      ...shown,
      data: shown.data.map((value, i) => value + sign * size * direction[i]!),
    });
    const expected = direction.reduce((sum, value, i) => sum + size * value * slope[i]!, 0);
    const found = (logarithm(moved(1), wanted) - logarithm(moved(-1), wanted)) / 2;
    expect(found / expected).toBeCloseTo(1, 4);
  }
});

it('leads to what the metric, with its round windows, counts as more alike', () => {
  const [shown, wanted] = pair(200, 180);
  const slope = msSsimSlope(shown, wanted)!;
  const largest = Math.max(...slope.map(Math.abs));
  const asRaster = ({ width, height, data }: Plane) => ({
    width,
    height,
    channels: 1 as const,
    data: Uint16Array.from(data, (value) => 257 * value),
  });
  const better = { ...shown, data: shown.data.map((value, i) => value + (4 * slope[i]!) / largest) };
  expect(1 - msSsim(asRaster(better), asRaster(wanted)).value).toBeLessThan(
    0.9 * (1 - msSsim(asRaster(shown), asRaster(wanted)).value),
  );
});

it('is level where both are the same, and unknown where no window fits', () => {
  const [, wanted] = pair(64, 48);
  for (const value of msSsimSlope(wanted, wanted)!) expect(Math.abs(value)).toBeLessThan(1e-15);
  expect(
    msSsimSlope(
      plane(7, 100, () => 1),
      plane(7, 100, () => 2),
    ),
  ).toBeUndefined();
});
