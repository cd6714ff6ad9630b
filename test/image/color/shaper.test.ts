import { describe, expect, it } from 'vitest';
import { readImage } from '../../../src/image/read.ts';
import { tiffHeader } from '../../../src/image/tiff.ts';
import {
  ADOBE_GAMMA,
  ADOBE_RGB,
  colorIn,
  DISPLAY_P3,
  grayProfile,
  matrixProfile,
  PRO_PHOTO,
} from './icc-profile.ts';

type Samples = Uint8Array | Uint16Array;

/** A TIFF of one row. */
function tiff(samples: Samples, channels: 1 | 2 | 3 | 4, icc: Uint8Array): Buffer {
  const depth = samples instanceof Uint16Array ? 16 : 8;
  return Buffer.concat([
    tiffHeader({ width: samples.length / channels, height: 1, channels, depth, icc }),
    new Uint8Array(samples.buffer),
  ]);
}

describe('colors of profiles of curves and a matrix', () => {
  it.each([
    ['Adobe RGB', ADOBE_RGB, ADOBE_GAMMA, 245],
    ['ProPhoto', PRO_PHOTO, 1.8, 235],
    ['P3 of another curve', DISPLAY_P3, 2.2, 245],
  ] as const)('keep their tones where samples have 8 bits: %s', async (_, primaries, gamma, levels) => {
    const ramp = Uint8Array.from({ length: 256 * 3 }, (__, i) => i / 3);
    for (const srgb of [false, true]) {
      const { raster } = await readImage(tiff(ramp, 3, matrixProfile(primaries, gamma)), { srgb });
      expect(raster.colorSpace).toBe(srgb ? undefined : 'display-p3');
      expect(new Set(raster.data).size).toBeGreaterThanOrEqual(levels);
      // Gray stays gray.
      for (let i = 0; i < raster.data.length; i += 3)
        expect([raster.data[i + 1], raster.data[i + 2]]).toEqual([raster.data[i], raster.data[i]]);
    }
  });

  it.each([
    ['Adobe RGB', ADOBE_RGB, 2.25],
    ['ProPhoto', PRO_PHOTO, 1.75],
    ['P3 of another curve', DISPLAY_P3, 2.5],
  ] as const)('are exact where samples have 16 bits, and keep alpha: %s', async (_, primaries, gamma) => {
    const samples = Uint16Array.from({ length: 4000 * 4 }, (__, i) => Math.imul(i + 1, 2654435761) >>> 16);
    const { raster } = await readImage(tiff(samples, 4, matrixProfile(primaries, gamma)));
    expect([raster.colorSpace, raster.channels]).toEqual(['display-p3', 4]);
    let largest = 0;
    for (let i = 0; i < samples.length; i += 4) {
      const color = [...samples.subarray(i, i + 3)].map((value) => value / 65535);
      for (const [c, value] of colorIn('display-p3', color, primaries, gamma).entries())
        largest = Math.max(largest, Math.abs(255 * value - raster.data[i + c]! / 257));
      expect(raster.data[i + 3]).toBe(samples[i + 3]);
    }
    expect(largest).toBeLessThan(0.15);
  });

  it('stops between two pieces when it is told to', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const image = tiff(new Uint16Array(3 << 22), 3, matrixProfile(ADOBE_RGB, ADOBE_GAMMA));
    const reading = readImage(image, { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 1);
    await expect(reading).rejects.toBe(reason);
  });
});

describe('gray of a profile of its own', () => {
  it.each([
    [1, 8],
    [2, 8],
    [1, 16],
    [2, 16],
  ] as const)('becomes that of sRGB: %i channels of %i bits', async (channels, bits) => {
    const peak = 2 ** bits - 1;
    const samples = bits === 16 ? new Uint16Array(256 * channels) : new Uint8Array(256 * channels);
    for (let i = 0; i < samples.length; i++)
      samples[i] = Math.round((peak * (i % channels === 0 ? i / channels : 255 - (i >> 1))) / 255);
    for (const gamma of [1, 1.75]) {
      const { raster, warnings } = await readImage(tiff(samples, channels, grayProfile(gamma)));
      expect([raster.channels, raster.data.BYTES_PER_ELEMENT, warnings]).toEqual([channels, bits / 8, []]);
      for (let i = 0; i < samples.length; i += channels) {
        const light = (samples[i]! / peak) ** gamma;
        const expected = light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : 12.92 * light;
        expect(Math.abs(raster.data[i]! - peak * expected)).toBeLessThan(0.51);
        if (channels === 2) expect(raster.data[i + 1]).toBe(samples[i + 1]);
      }
    }
  });
});

it.each([8, 16] as const)(
  'a profile that cannot be used is told of, and leaves %i bits of sRGB',
  async (bits) => {
    const icc = matrixProfile(ADOBE_RGB, ADOBE_GAMMA);
    icc.set(Buffer.from('link'), 12);
    const samples = (bits === 16 ? Uint16Array : Uint8Array).of(180, 100, 60);
    const { raster, warnings } = await readImage(tiff(samples, 3, icc));
    expect(raster).toEqual({ width: 1, height: 1, channels: 3, data: samples });
    expect(warnings).toContain('Invalid embedded profile');
  },
);
