import { depthOf, type Raster } from '../image/raster.ts';
import { expectComparable } from './comparable.ts';

/**
 * Peak signal-to-noise ratio in dB over all samples of both rasters. Where both have alpha it is one of them, and colors count as far as they
 * show: multiplied by it. 8 and 16 bits, gray and color may be compared: gray counts as R = G = B, 8 bits as 257 times as much. Infinity for equal pictures. Throws RequestError when the sizes or color spaces differ.
 */
export function psnr(a: Raster, b: Raster): number {
  expectComparable(a, b);
  const eight = depthOf(a) === 8 && depthOf(b) === 8;
  const peak = eight ? 255 : 65535;
  const scaleA = eight || depthOf(a) === 16 ? 1 : 257;
  const scaleB = eight || depthOf(b) === 16 ? 1 : 257;
  const alpha = hasAlpha(a) && hasAlpha(b);
  const color = Math.max(colors(a), colors(b));
  let sum = 0;
  for (let pixel = 0, count = a.width * a.height; pixel < count; pixel++) {
    const alphaA = alpha ? a.data[(pixel + 1) * a.channels - 1]! * scaleA : peak;
    const alphaB = alpha ? b.data[(pixel + 1) * b.channels - 1]! * scaleB : peak;
    for (let c = 0; c < color; c++) {
      const colorA = a.data[pixel * a.channels + Math.min(c, colors(a) - 1)]! * scaleA;
      const colorB = b.data[pixel * b.channels + Math.min(c, colors(b) - 1)]! * scaleB;
      const difference = alpha ? (colorA * alphaA - colorB * alphaB) / peak : colorA - colorB;
      sum += difference * difference;
    }
    sum += (alphaA - alphaB) * (alphaA - alphaB);
  }
  const mean = sum / (a.width * a.height * (color + (alpha ? 1 : 0)));
  return mean === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10((peak * peak) / mean);
}

function colors({ channels }: Raster): number {
  return channels >= 3 ? 3 : 1;
}

function hasAlpha({ channels }: Raster): boolean {
  return channels === 2 || channels === 4;
}
