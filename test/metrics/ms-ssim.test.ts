import { describe, expect, it } from 'vitest';
import { isLiifError } from '../../src/errors.ts';
import type { Raster } from '../../src/image/raster.ts';
import { msSsim } from '../../src/metrics/ms-ssim.ts';

/** A picture with edges and gradients, and a disturbed copy of it. */
function pair(width: number, height: number): [Raster, Raster] {
  const a = new Uint8Array(width * height * 3);
  const b = new Uint8Array(a.length);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++, i++) {
        a[i] = (x * 3 + y * 5 * (c + 1) + ((x * y) >> 3) * 7) & 255;
        b[i] = Math.min(255, Math.max(0, a[i]! + ((x * 7 + y * 13 + c * 5) % 41) - 20));
      }
  const shape = { width, height, channels: 3 } as const;
  return [
    { ...shape, data: a },
    { ...shape, data: b },
  ];
}

function flat(value: number, side: number): Raster {
  return { width: side, height: side, channels: 1, data: new Uint8Array(side * side).fill(value) };
}

describe('msSsim', () => {
  // Expected values: PyTorch 1.13, float64, conv2d and avg_pool2d in the order of pytorch-msssim.
  it.each([
    [192, 176, 0.9908397852334968, 5],
    [177, 163, 0.9908744497205055, 5],
    [64, 47, 0.9958533183967012, 3],
  ])('gives what PyTorch gives for %i x %i pixels', (width, height, expected, scales) => {
    const found = msSsim(...pair(width, height));
    expect(found.scales).toBe(scales);
    expect(found.value).toBeCloseTo(expected, 7);
  });

  it('is 1 for equal pictures', () => {
    const [a] = pair(176, 176);
    expect(msSsim(a, a)).toEqual({ value: 1, scales: 5 });
  });

  it('leaves the luminance term alone for two flat pictures', () => {
    const c1 = (0.01 * 255) ** 2;
    const luminance = (2 * 90 * 120 + c1) / (90 * 90 + 120 * 120 + c1);
    expect(msSsim(flat(90, 176), flat(120, 176)).value).toBeCloseTo(luminance ** 0.1333, 9);
  });

  it('counts 16 bits like 8', () => {
    const [a, b] = pair(176, 176);
    const wide = (raster: Raster): Raster => ({
      ...raster,
      data: Uint16Array.from(raster.data, (sample) => sample * 257),
    });
    expect(msSsim(wide(a), wide(b)).value).toBeCloseTo(msSsim(a, b).value, 9);
    expect(msSsim(wide(a), b).value).toBeCloseTo(msSsim(a, b).value, 9);
  });

  it('counts grey as R = G = B', () => {
    const grey = flat(90, 176);
    const colored: Raster = {
      width: 176,
      height: 176,
      channels: 4,
      data: Uint8Array.from({ length: 176 * 176 * 4 }, (_, i) => (i % 4 === 3 ? 255 : 120)),
    };
    expect(msSsim(grey, colored).value).toBeCloseTo(msSsim(grey, flat(120, 176)).value, 9);
  });

  it('counts colors as far as they show, and alpha where anything is not opaque', () => {
    const side = 32;
    /** One color, or noise where nothing shows. */
    const disc = (noise: number, alphaOf: (inside: boolean) => number): Raster => {
      const data = new Uint8Array(side * side * 2);
      for (let i = 0; i < side * side; i++) {
        const inside = Math.hypot((i % side) - 16, Math.floor(i / side) - 16) < 9;
        data.set([inside ? 70 : (noise * i) & 255, alphaOf(inside)], 2 * i);
      }
      return { width: side, height: side, channels: 2, data };
    };
    const clear = (inside: boolean) => (inside ? 255 : 0);
    expect(msSsim(disc(37, clear), disc(91, clear)).value).toBe(1);
    const opaque = disc(37, () => 255);
    const { data } = opaque;
    const gray: Raster = { ...opaque, channels: 1, data: data.filter((_, i) => i % 2 === 0) };
    expect(msSsim(opaque, gray).value).toBe(1);
    expect(msSsim(gray, disc(37, clear)).value).toBeLessThan(0.6);
    // Black shows no color: only alpha tells it from nothing.
    const black = (alpha: (i: number) => number): Raster => ({
      ...gray,
      channels: 2,
      data: data.map((_, i) => (i % 2 ? alpha(i >> 1) : 0)),
    });
    expect(
      msSsim(
        black((i) => (i % side < 16 ? 255 : 0)),
        black(() => 0),
      ).value,
    ).toBeLessThan(0.8);
  });

  it('says how many scales fit', () => {
    expect(msSsim(flat(1, 161), flat(2, 161)).scales).toBe(5);
    expect(msSsim(flat(1, 160), flat(2, 160)).scales).toBe(4);
    expect(msSsim(flat(1, 11), flat(2, 11)).scales).toBe(1);
  });

  it('refuses pictures that are too small or of different sizes', () => {
    for (const [a, b] of [
      [flat(1, 10), flat(1, 10)],
      [flat(1, 20), flat(1, 21)],
    ] as const) {
      let error: unknown;
      try {
        msSsim(a, b);
      } catch (caught) {
        error = caught;
      }
      expect(isLiifError(error, 'RequestError')).toBe(true);
    }
  });
});
