import type { Metadata } from 'sharp';
import { isAdobeRgb } from '../metadata/exif.ts';
import { isGray } from '../sample-types.ts';
import type { Shaper } from './icc.ts';
import { type Matrix, PRIMARIES } from './shaper.ts';

/** Adobe RGB (1998), 4.3: its primaries, adapted to D50, and its gamma. */
const ADOBE_RGB: Matrix = [
  [0.60974, 0.31111, 0.01947],
  [0.20528, 0.62567, 0.06087],
  [0.14919, 0.06322, 0.74457],
];
const ADOBE_GAMMA = 563 / 256;
/** A gamma this close to that of screens stands for sRGB's curve: as libpng has it. */
const GAMMA_TOLERANCE = 0.05;
const SCREEN_GAMMA = 2.2;

/**
 * What stands in for a profile in an image that has none and states no color codes: the Adobe RGB of cameras, which only EXIF tells, or the gamma of a
 * PNG (`gamma` of `statedColors`). sharp passes over both.
 */
export function statedShaper(
  metadata: Pick<Metadata, 'space' | 'exif'>,
  gamma: number | undefined,
): Shaper | undefined {
  const gray = isGray(metadata);
  if (!gray && metadata.exif && isAdobeRgb(metadata.exif)) return shaperOfGamma(ADOBE_GAMMA, ADOBE_RGB);
  if (!gamma || Math.abs(gamma * SCREEN_GAMMA - 1) <= GAMMA_TOLERANCE) return undefined;
  return shaperOfGamma(1 / gamma, gray ? undefined : PRIMARIES.srgb);
}

/** `gamma`: the exponent from samples to light. */
function shaperOfGamma(gamma: number, columns?: Matrix): Shaper {
  const curve = (x: number) => x ** gamma;
  return columns ? { curves: [curve, curve, curve], columns } : { curves: [curve] };
}
