import { type ColorSpace, expectColorSpace } from '../color-space.ts';
import { kindOf, RequestError, shown } from '../errors.ts';
import { expectObject } from '../given.ts';

/** 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha. */
export type Channels = 1 | 2 | 3 | 4;

/**
 * Uncompressed pixels, row by row from the top, samples of a pixel side by side; colors are not multiplied by
 * alpha.
 *
 * @example
 * const raster: Raster = { width: 2, height: 1, channels: 3, data: Uint8Array.of(255, 0, 0, 0, 0, 255) };
 */
export interface Raster {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha. */
  readonly channels: Channels;
  /** `width * height * channels` samples: 0..255 in a Uint8Array, 0..65535 in a Uint16Array. */
  readonly data: Uint8Array | Uint16Array;
  /** What the samples mean. Absent: sRGB, and always for gray. */
  readonly colorSpace?: ColorSpace;
}

/** Channels of a raster: those of color, and one of alpha where there is alpha. */
export function channelsOf({
  channels,
  alpha,
}: {
  readonly channels: 1 | 3;
  readonly alpha: boolean;
}): Channels {
  return (channels + Number(alpha)) as Channels;
}

export function hasAlpha(channels: Channels): boolean {
  return channels === 2 || channels === 4;
}

/** A copy of a rectangle that lies inside the raster. */
export function cropped(
  { width: pitch, channels, data: from, colorSpace }: Raster,
  {
    left,
    top,
    width,
    height,
  }: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
): Raster {
  const length = width * channels;
  const data = samplesLike(from, height * length);
  for (let row = 0; row < height; row++) {
    const at = ((top + row) * pitch + left) * channels;
    data.set(from.subarray(at, at + length), row * length);
  }
  return { width, height, channels, data, ...(colorSpace && { colorSpace }) };
}

/** So many samples of the depth of others, all 0. */
export function samplesLike(samples: Raster['data'], length: number): Raster['data'] {
  return samples instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length);
}

/**
 * A copy of samples. Not by `slice`: that of a Node Buffer, which is a Uint8Array to TypeScript, is a view.
 */
export function copyOf(samples: Raster['data']): Raster['data'] {
  return samples instanceof Uint16Array ? samples.slice() : new Uint8Array(samples);
}

/**
 * Throws RequestError for anything but an array of 8 or 16 bits, such as floats, whose range is not defined.
 */
export function expectSamples(data: unknown): void {
  if (data instanceof Uint8Array || data instanceof Uint16Array || data instanceof Uint8ClampedArray) return;
  throw new RequestError(`Expected samples in a Uint8Array or Uint16Array but received ${kindOf(data)}`);
}

/** Bits of a sample. */
export function depthOf(raster: Raster): 8 | 16 {
  return raster.data instanceof Uint16Array ? 16 : 8;
}

/**
 * Throws RequestError for sides that are not positive whole numbers (at most `maxSide`), and for wrong
 * channels or color spaces.
 */
export function expectShape(
  shape: Pick<Raster, 'width' | 'height' | 'channels' | 'colorSpace'>,
  maxSide?: number,
): void {
  expectObject(shape, 'picture');
  const { width, height, channels, colorSpace } = shape;
  for (const [name, side] of [
    ['width', width],
    ['height', height],
  ] as const)
    if (!(Number.isInteger(side) && side >= 1 && side <= (maxSide ?? side)))
      throw new RequestError(
        `Expected a raster ${name} of ${maxSide ? `1 to ${maxSide}` : 'at least 1'} but received ${shown(side)}`,
      );
  if (![1, 2, 3, 4].includes(channels))
    throw new RequestError(`Expected 1 to 4 channels but received ${shown(channels)}`);
  if (colorSpace !== undefined) expectColorSpace(colorSpace);
}

/** As `expectShape`; throws RequestError for a wrong kind or number of samples, too. */
export function expectRaster(raster: Raster, maxSide?: number): void {
  expectShape(raster, maxSide);
  const { width, height, channels, data } = raster;
  expectSamples(data);
  if (data.length !== width * height * channels)
    throw new RequestError(
      `Expected ${width * height * channels} samples for ${width} x ${height} x ${channels} but received ${data.length}`,
    );
}
