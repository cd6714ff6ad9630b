import { describe, expect, it } from 'vitest';
import { sampleErrors } from '../../src/analysis/sample-errors.ts';
import type { Patch } from '../../src/engine/engine.ts';
import { pictureValue } from '../../src/network/fixed-point.ts';
import { randomSource } from '../fixtures/tiny-model.ts';

const SHIFT = 2;
const LUMA = [0.299, 0.587, 0.114];

/** Samples, and a picture that they show a little off. */
function shown(width: number, height: number, off: (i: number) => number): [Uint16Array, Patch] {
  const random = randomSource(2);
  const samples = Uint16Array.from({ length: 3 * width * height }, () => 65_535 * random());
  const data = Int16Array.from(samples, (sample, i) => pictureValue(sample, SHIFT) - off(i));
  return [samples, { rect: { top: 3, left: 5, width, height }, channels: 3, data }];
}

const luma = (errors: Int16Array) =>
  Array.from({ length: errors.length / 3 }, (_, i) =>
    LUMA.reduce((sum, part, c) => sum + part * errors[3 * i + c]!, 0),
  );
const strength = (values: readonly number[]) => values.reduce((sum, value) => sum + Math.abs(value), 0);

describe('errors of samples', () => {
  it('are differences, by PSNR', () => {
    const [samples, target] = shown(20, 16, (i) => (i % 7) - 3);
    expect(sampleErrors(samples, target, SHIFT, 'psnr')).toEqual(
      Int16Array.from(samples, (_, i) => (i % 7) - 3),
    );
  });

  it('are the same by MS-SSIM where the picture is too small to have structure, or is shown as it is', () => {
    for (const [samples, target] of [shown(20, 7, (i) => (i % 7) - 3), shown(20, 16, () => 0)])
      expect(sampleErrors(samples, target, SHIFT, 'ms-ssim')).toEqual(
        sampleErrors(samples, target, SHIFT, 'psnr'),
      );
  });

  it('pull harder by MS-SSIM where there is less to hide an error, and as hard as by PSNR on the whole', () => {
    const random = randomSource(3);
    const [samples, target] = shown(64, 64, () => 400 * (random() - 0.5));
    // The left half is smooth.
    for (let i = 0; i < samples.length; i++)
      if (Math.floor(i / 3) % 64 < 32) {
        target.data[i] = 0;
        samples[i] = 32768 + 200 * (random() - 0.5) * 2 ** (SHIFT - 1);
      }
    const half = (values: readonly number[], left: boolean) => values.filter((_, i) => i % 64 < 32 === left);
    const byPsnr = luma(sampleErrors(samples, target, SHIFT, 'psnr'));
    const byStructure = luma(sampleErrors(samples, target, SHIFT, 'ms-ssim'));
    const gain = (left: boolean) => strength(half(byStructure, left)) / strength(half(byPsnr, left));
    expect(gain(true)).toBeGreaterThan(1.5 * gain(false));
    expect(strength(byStructure) / strength(byPsnr)).toBeGreaterThan(0.8);
    expect(strength(byStructure) / strength(byPsnr)).toBeLessThan(1.3);
  });

  it('leave color beside luma to squared error', () => {
    // Of the same luma, but for rounding.
    const tint = [1870, -1140, 1];
    const [samples, target] = shown(32, 32, (i) => (Math.floor(i / 96) % 2 ? tint[i % 3]! : -tint[i % 3]!));
    const byPsnr = sampleErrors(samples, target, SHIFT, 'psnr');
    const byStructure = sampleErrors(samples, target, SHIFT, 'ms-ssim');
    const difference = Array.from(byPsnr, (error, i) => byStructure[i]! - error);
    expect(strength(difference)).toBeLessThan(0.05 * strength(Array.from(byPsnr)));
  });
});
