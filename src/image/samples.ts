import type { Metadata, Sharp } from 'sharp';
import type { Channels, Raster } from './raster.ts';
import { inTurns } from './turns.ts';

/** Whether samples are of gray, with alpha or without. */
export function isGray({ space }: Pick<Metadata, 'space'>): boolean {
  return space === 'b-w' || space === 'grey16';
}

/** Why samples cannot be read as they are meant, for a message to end with; undefined where they can. */
export function unreadableSamples({
  space,
  depth,
  hasAlpha,
}: Pick<Metadata, 'space' | 'depth' | 'hasAlpha'>): string | undefined {
  if (!hasDefinedRange({ space, depth }))
    return `samples of type ${depth} have no defined range; convert the image to 8 or 16 bits first`;
  // sharp takes the range of such alpha for another, and makes opaque what is not, or the other way round.
  if (hasAlpha && (space === 'labs' || (space === 'cmyk' && depth === 'ushort')))
    return `alpha beside ${space === 'cmyk' ? 'CMYK of 16 bits' : 'Lab'} cannot be read; convert the image to RGB first`;
  return undefined;
}

/**
 * Whether it is defined which numbers are black and white: of 8 and 16 bits without sign, and of
 * interpretations whose others have a range.
 */
function hasDefinedRange({ space, depth }: Pick<Metadata, 'space' | 'depth'>): boolean {
  if (depth === 'uchar' || depth === 'ushort') return true;
  return space === 'scrgb' || space === 'lab' || (space === 'labs' && depth === 'short');
}

/** How samples are read from an image. */
export interface SampleKind {
  /** One channel. Not for 8 bits with alpha: sharp drops the alpha of raw gray, but not that of RGBA. */
  readonly gray: boolean;
  /** 16 bits. */
  readonly wide: boolean;
  /** Whether sharp converts colors by a profile, to sRGB. */
  readonly converts: boolean;
}

/** Decodes an image. There may be other channels than those that were asked for. */
export async function readSamples(image: Sharp, { gray, wide, converts }: SampleKind): Promise<Raster> {
  // Without this, sharp makes Display P3 of 16 bits. With it, samples of sRGB would be changed.
  if (wide && converts) image.withIccProfile('srgb', { attach: false });
  image
    .toColorspace(gray ? (wide ? 'grey16' : 'b-w') : wide ? 'rgb16' : 'srgb')
    .raw({ depth: wide ? 'ushort' : 'uchar' });
  const { data: bytes, info } = await image.toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const { buffer, byteOffset, length } = bytes;
  const data = wide
    ? new Uint16Array(buffer, byteOffset, length / 2)
    : new Uint8Array(buffer, byteOffset, length);
  return { width, height, channels: (data.length / (width * height)) as Channels, data };
}

/** Samples of 16 bits rounded to 8. */
export async function toEightBits(raster: Raster, signal?: AbortSignal): Promise<Raster> {
  const { data, channels } = raster;
  const rounded = new Uint8Array(data.length);
  await inTurns(data.length, channels, signal, (from, to) => {
    for (let i = from; i < to; i++) rounded[i] = (data[i]! + 128) / 257;
  });
  return { ...raster, data: rounded };
}
