import type { Metadata } from 'sharp';
import { isAdobeRgb } from './exif.ts';
import type { Shaper } from './icc.ts';
import { withParts } from './parts.ts';
import { pngChunks } from './png-chunks.ts';
import { isGray } from './sample-types.ts';
import { type Matrix, PRIMARIES } from './shaper.ts';

/** Adobe RGB (1998), 4.3: its primaries, adapted to D50, and its gamma. */
const ADOBE_RGB: Matrix = [
  [0.60974, 0.31111, 0.01947],
  [0.20528, 0.62567, 0.06087],
  [0.14919, 0.06322, 0.74457],
];
const ADOBE_GAMMA = 563 / 256;
/** What a gamma may differ from that of screens and still be sRGB's curve: as libpng has it. */
const GAMMA_TOLERANCE = 0.05;
const SCREEN_GAMMA = 2.2;

/**
 * What stands in for a profile in an image that has none and states nothing by numbers (`statedColors`), and sharp passes over: the gamma of a PNG (`gAMA`, PNG 3, 11.3.2.2), and the
 * Adobe RGB of cameras, which only EXIF tells.
 */
export async function statedShaper(
  image: string | Uint8Array,
  metadata: Pick<Metadata, 'format' | 'space' | 'exif'>,
): Promise<Shaper | undefined> {
  const gray = isGray(metadata);
  if (!gray && metadata.exif && isAdobeRgb(metadata.exif)) return shaperOfGamma(ADOBE_GAMMA, ADOBE_RGB);
  if (metadata.format !== 'png') return undefined;
  const gamma = await pngGamma(image);
  return gamma === undefined ? undefined : shaperOfGamma(gamma, gray ? undefined : PRIMARIES.srgb);
}

function shaperOfGamma(gamma: number, columns?: Matrix): Shaper {
  const curve = (x: number) => x ** gamma;
  return columns ? { curves: [curve, curve, curve], columns } : { curves: [curve] };
}

/** From samples to light; undefined where it is sRGB's curve, or nothing is said. */
function pngGamma(image: string | Uint8Array): Promise<number | undefined> {
  return withParts(image, async (parts) => {
    let encoding = 0;
    try {
      for await (const { type, at } of pngChunks(parts)) {
        if (type === 'sRGB') return undefined; // which goes before it
        if (type === 'gAMA') encoding = (await parts(at, 4)).getUint32(0) / 100_000;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // it goes on beyond what is there
    }
    const isScreens = Math.abs(encoding * SCREEN_GAMMA - 1) <= GAMMA_TOLERANCE;
    return encoding === 0 || isScreens ? undefined : 1 / encoding;
  });
}
