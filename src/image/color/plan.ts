/** Decides what becomes of an image's colors, by everything that the image says of them. */
import type { Metadata } from 'sharp';
import type { ColorSpace } from '../../color-space.ts';
import { isDisplayP3, isKnown, unknownColors } from '../metadata/color-codes.ts';
import { isAdobeRgb } from '../metadata/exif.ts';
import { heifColors } from '../metadata/heif.ts';
import { pngColors, type StatedColors } from '../metadata/png-colors.ts';
import { isGray } from '../samples.ts';
import { profiledColors, shaperOf } from './icc.ts';
import { type Curve, type Matrix, PRIMARIES, type Shaper } from './shaper.ts';
import { linearOf } from './to-srgb.ts';

export interface ColorPlan {
  /** Of the samples that are to be read. */
  readonly colorSpace: ColorSpace;
  /**
   * By sharp; otherwise samples are read as they are stored, and it has to be opened so that it ignores the
   * profile.
   */
  readonly converts: boolean;
  /** What they are to be converted by when they have been read. */
  readonly shaper?: Shaper;
  /** What is odd about the colors, and will be ignored. */
  readonly warning?: string | undefined;
}

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
 * Colors beyond sRGB are kept, as Display P3, unless `srgb` asks for less. Color codes count where there is
 * no profile. Beside the profile of a PNG they outrank it if they are known.
 */
export async function colorPlan(
  image: string | Uint8Array,
  metadata: Metadata,
  srgb: boolean,
): Promise<ColorPlan> {
  const { icc, space, channels } = metadata;
  const stated = await statedColors(image, metadata);
  const { codes } = stated;
  const warning = codes && unknownColors(codes, icc !== undefined);
  const profile = codes && isKnown(codes) ? undefined : icc;
  const shaper = profile ? shaperOf(profile) : statedShaper(metadata, stated);
  if (!profile && !shaper) return { colorSpace: 'srgb', converts: false, warning };
  // A profile of another kind than the samples says nothing of them.
  const rgb = space === 'srgb' || space === 'rgb' || space === 'rgb16';
  const gray = isGray({ space }) && channels <= 2;
  const { colorSpace: stored, wide } = profiledColors(shaper);
  const colorSpace = wide && rgb && !srgb ? 'display-p3' : 'srgb';
  if (stored === colorSpace) return { colorSpace, converts: false, warning };
  if (shaper && (shaper.columns ? rgb : gray)) return { colorSpace, converts: false, shaper, warning };
  return { colorSpace, converts: profile !== undefined, warning };
}

/** What stands beside a profile in a PNG, or instead of one in other images. sharp does not report it. */
async function statedColors(image: string | Uint8Array, { format, icc }: Metadata): Promise<StatedColors> {
  if (format === 'png') return pngColors(image);
  return format === 'heif' && icc === undefined ? { codes: await heifColors(image) } : {};
}

/**
 * What stands in for a profile: color codes, the Adobe RGB of cameras, which only EXIF tells, or the gamma of
 * a PNG.
 */
function statedShaper(
  metadata: Pick<Metadata, 'space' | 'exif'>,
  { codes, gamma }: StatedColors,
): Shaper | undefined {
  if (codes) return isDisplayP3(codes) ? shaperBy(linearOf, PRIMARIES['display-p3']) : undefined;
  const gray = isGray(metadata);
  if (!gray && metadata.exif && isAdobeRgb(metadata.exif))
    return shaperBy((x) => x ** ADOBE_GAMMA, ADOBE_RGB);
  if (!gamma || Math.abs(gamma * SCREEN_GAMMA - 1) <= GAMMA_TOLERANCE) return undefined;
  return shaperBy((x) => x ** (1 / gamma), gray ? undefined : PRIMARIES.srgb);
}

function shaperBy(curve: Curve, columns?: Matrix): Shaper {
  return columns ? { curves: [curve, curve, curve], columns } : { curves: [curve] };
}
