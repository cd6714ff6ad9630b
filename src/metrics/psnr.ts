import { depthOf, hasAlpha, type Raster } from '../image/raster.ts';
import { expectComparable } from './comparable.ts';

/**
 * Peak signal-to-noise ratio in dB over all samples of two rasters; Infinity for equal ones.
 *
 * - Colors count as they show: multiplied by alpha. Alpha counts as a channel of its own unless both rasters
 *   are opaque; a raster without alpha is opaque.
 * - Gray may be compared with color (as R = G = B), 8 bits with 16 (as 257 times the value).
 *
 * Synchronous: compare large pictures in a worker. Throws RequestError where sizes or color spaces differ.
 *
 * @example
 * psnr(original, await decode('photo.liif')); // e.g. 36.4
 */
export function psnr(a: Raster, b: Raster): number {
  expectComparable(a, b);
  const eight = depthOf(a) === 8 && depthOf(b) === 8;
  const peak = eight ? 255 : 65535;
  const scaleA = eight || depthOf(a) === 16 ? 1 : 257;
  const scaleB = eight || depthOf(b) === 16 ? 1 : 257;
  const [clearA, clearB] = [hasAlpha(a.channels), hasAlpha(b.channels)];
  const color = Math.max(colors(a), colors(b));
  let sum = 0;
  let opaque = true;
  for (let pixel = 0, count = a.width * a.height; pixel < count; pixel++) {
    const alphaA = clearA ? a.data[(pixel + 1) * a.channels - 1]! * scaleA : peak;
    const alphaB = clearB ? b.data[(pixel + 1) * b.channels - 1]! * scaleB : peak;
    if (alphaA < peak || alphaB < peak) opaque = false;
    for (let c = 0; c < color; c++) {
      const colorA = a.data[pixel * a.channels + Math.min(c, colors(a) - 1)]! * scaleA;
      const colorB = b.data[pixel * b.channels + Math.min(c, colors(b) - 1)]! * scaleB;
      const difference = (colorA * alphaA - colorB * alphaB) / peak;
      sum += difference * difference;
    }
    sum += (alphaA - alphaB) * (alphaA - alphaB);
  }
  const mean = sum / (a.width * a.height * (color + (opaque ? 0 : 1)));
  return mean === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10((peak * peak) / mean);
}

function colors({ channels }: Raster): number {
  return channels >= 3 ? 3 : 1;
}
