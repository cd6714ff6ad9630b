import { expect, it } from 'vitest';
import type { Raster } from '../../src/image/raster.ts';
import { psnr } from '../../src/metrics/psnr.ts';

function raster(channels: 1 | 2 | 3 | 4, samples: number[], depth: 8 | 16 = 8): Raster {
  const data = depth === 16 ? Uint16Array.from(samples) : Uint8Array.from(samples);
  return { width: samples.length / channels, height: 1, channels, data };
}

it('is the peak over the mean squared error of all samples, in dB', () => {
  const a = raster(3, [0, 0, 0, 100, 100, 100]);
  const b = raster(3, [0, 0, 6, 100, 100, 100]);
  expect(psnr(a, b)).toBeCloseTo(10 * Math.log10((255 * 255) / 6), 10);
});

it('is infinite for equal pictures', () => {
  expect(psnr(raster(1, [1, 2]), raster(1, [1, 2]))).toBe(Number.POSITIVE_INFINITY);
});

it('compares grey with color, and 8 bits with 16', () => {
  expect(psnr(raster(1, [10, 20]), raster(3, [10, 10, 10, 20, 20, 20]))).toBe(Number.POSITIVE_INFINITY);
  expect(psnr(raster(1, [10, 20]), raster(1, [2570, 5140], 16))).toBe(Number.POSITIVE_INFINITY);
  const off = psnr(raster(1, [10, 20], 16), raster(1, [10, 22], 16));
  expect(off).toBeCloseTo(10 * Math.log10((65535 * 65535) / 2), 10);
});

it('takes a picture without alpha as opaque, and counts alpha where anything is not', () => {
  const red = raster(3, [200, 10, 20]);
  expect(psnr(red, raster(4, [200, 10, 20, 255]))).toBe(Number.POSITIVE_INFINITY);
  const clear = raster(4, [200, 10, 20, 0]);
  const error = (200 * 200 + 10 * 10 + 20 * 20 + 255 * 255) / 4;
  expect(psnr(red, clear)).toBeCloseTo(10 * Math.log10((255 * 255) / error), 10);
  expect(psnr(clear, red)).toBe(psnr(red, clear));
  expect(psnr(raster(4, [200, 10, 26, 255]), raster(4, [200, 10, 20, 255]))).toBe(
    psnr(raster(3, [200, 10, 26]), red),
  );
});

it('counts alpha, and colors as far as they show', () => {
  const a = raster(2, [0, 255]);
  const b = raster(2, [0, 251]);
  expect(psnr(a, b)).toBeCloseTo(10 * Math.log10((255 * 255) / 8), 10);
  expect(psnr(raster(2, [200, 0]), raster(2, [10, 0]))).toBe(Number.POSITIVE_INFINITY);
  expect(psnr(raster(2, [40, 51]), raster(2, [50, 51]))).toBeCloseTo(10 * Math.log10((255 * 255) / 2), 10);
  expect(psnr(a, raster(1, [0]))).toBe(Number.POSITIVE_INFINITY);
});

it('refuses pictures of different sizes', () => {
  expect(() => psnr(raster(1, [1]), raster(1, [1, 2]))).toThrow('1 x 1 and 2 x 1 pixels cannot be compared');
});

it('refuses colors of different spaces, but gray is in all of them', () => {
  const wide: Raster = { ...raster(3, [1, 2, 3]), colorSpace: 'display-p3' };
  expect(psnr(wide, { ...wide })).toBe(Number.POSITIVE_INFINITY);
  expect(() => psnr(wide, raster(3, [1, 2, 3]))).toThrow('in display-p3 and one in srgb cannot be compared');
  expect(psnr(raster(1, [7]), { ...raster(3, [7, 7, 7]), colorSpace: 'display-p3' })).toBe(
    Number.POSITIVE_INFINITY,
  );
});
