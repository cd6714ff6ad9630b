import type { Metadata, Sharp } from 'sharp';
import type { ColorSpace } from '../../color-space.ts';
import { type ColorCodes, isDisplayP3, isKnown, statedColors } from '../metadata/stated-colors.ts';
import { isGray } from '../sample-types.ts';
import { loadSharp } from '../sharp.ts';
import { inTurns } from '../turns.ts';
import { profiledColors, type Shaper, shaperOf, tagsOf } from './icc.ts';
import { statedShaper } from './stated-shaper.ts';

/** What becomes of an image's colors, by its profile. */
export interface ColorPlan {
  /** Of the samples that are to be read. */
  readonly colorSpace: ColorSpace;
  /** By sharp; otherwise samples are read as they are stored, and it has to be opened so that it ignores the profile. */
  readonly converts: boolean;
  /** What they are to be converted by when they have been read. */
  readonly shaper?: Shaper;
}

/**
 * Colors beyond sRGB are kept, as Display P3, unless `srgb` asks for less. `codes`: those of an image without a profile, or those beside the profile of a
 * PNG, which they outrank if they are known. `instead`: what stands in for a profile where there are neither.
 */
function colorPlan(
  { icc, space, channels, format }: Pick<Metadata, 'icc' | 'space' | 'channels' | 'format'>,
  srgb: boolean,
  codes?: ColorCodes,
  instead?: Shaper,
): ColorPlan {
  // A profile of another kind than the samples says nothing of them.
  const rgb = space === 'srgb' || space === 'rgb' || space === 'rgb16';
  const gray = isGray({ space }) && channels <= 2;
  const counts = icc !== undefined && !(format === 'png' && codes && isKnown(codes));
  const shaper = counts ? shaperOf(icc) : instead;
  if (!counts && !shaper)
    return { colorSpace: rgb && isDisplayP3(codes) ? 'display-p3' : 'srgb', converts: false };
  const { colorSpace: stored, wide } = profiledColors(shaper);
  const colorSpace = wide && rgb && !srgb ? 'display-p3' : 'srgb';
  if (stored === colorSpace) return { colorSpace, converts: false };
  if (shaper && (shaper.columns ? rgb : gray)) return { colorSpace, converts: false, shaper };
  return { colorSpace, converts: counts };
}

/** `colorPlan` by everything that an image says, and its color codes where those count. */
export async function colorsOf(
  image: string | Uint8Array,
  metadata: Metadata,
  srgb: boolean,
): Promise<{ readonly plan: ColorPlan; readonly codes?: ColorCodes | undefined }> {
  const { icc, format } = metadata;
  const { codes, gamma } = icc === undefined || format === 'png' ? await statedColors(image) : {};
  const instead = icc === undefined && codes === undefined ? statedShaper(metadata, gamma) : undefined;
  return { plan: colorPlan(metadata, srgb, codes, instead), codes };
}

/** Asks for sRGB of 16 bits, by the image's profile: without this, sharp makes Display P3 of 16 bits. Not for images of 8 bits. */
export function asSixteenBits(image: Sharp): Sharp {
  return image.withIccProfile('srgb', { attach: false }).toColorspace('rgb16').raw({ depth: 'ushort' });
}

/** Samples of 16 bits rounded to 8. */
export async function toEightBits(
  data: Uint16Array,
  channels: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const rounded = new Uint8Array(data.length);
  await inTurns(data.length, channels, signal, (from, to) => {
    for (let i = from; i < to; i++) rounded[i] = (data[i]! + 128) / 257;
  });
  return rounded;
}

const profiles = new Map<ColorSpace, Promise<Uint8Array>>();

/** A profile of a color space in 480 bytes. */
export function profileOf(colorSpace: ColorSpace = 'srgb'): Promise<Uint8Array> {
  const known = profiles.get(colorSpace);
  if (known) return known;
  const profile = colorSpace === 'srgb' ? carried('srgb') : carried('p3').then(withNegativeZ);
  profiles.set(colorSpace, profile);
  profile.catch(() => profiles.delete(colorSpace));
  return profile;
}

/** One that libvips carries. */
async function carried(name: string): Promise<Uint8Array> {
  const pixel = { create: { width: 1, height: 1, channels: 3, background: '#000' } } as const;
  const sharp = await loadSharp();
  const { icc } = await sharp(await sharp(pixel).withIccProfile(name).png().toBuffer()).metadata();
  return icc!;
}

/**
 * The Z of Display P3's red is -0.00105. libvips' profile has 0, for readers that know no negative ones, and whoever converts by it adds up to four levels of blue
 * to saturated reds; the other primaries are exact.
 */
function withNegativeZ(profile: Uint8Array): Uint8Array {
  // What sharp gives is a Buffer, whose `slice` is a view, maybe of more than the profile.
  const exact = new Uint8Array(profile);
  // Its ID, a hash, may be left out.
  exact.fill(0, 84, 100);
  const view = new DataView(exact.buffer);
  view.setInt32(tagsOf(view).get('rXYZ')! + 16, Math.round(-0.00105 * 65536));
  return exact;
}
