import type { Estimate } from '../pictures/picture.ts';
import type { ImageFormat } from '../protocols/image-format.ts';
import { type Look, type Size, turnedSize } from '../protocols/rendering.ts';

/**
 * Bytes and nanoseconds of a core for each pixel of an image, including its samples. Measured at 8 and 9
 * megapixels, opaque and turned.
 */
const COSTS: Readonly<Record<ImageFormat, { readonly bytes: number; readonly nanoseconds: number }>> = {
  jpg: { bytes: 4, nanoseconds: 10 },
  png: { bytes: 8, nanoseconds: 80 },
  tif: { bytes: 8, nanoseconds: 80 },
  webp: { bytes: 16, nanoseconds: 60 },
  gif: { bytes: 16, nanoseconds: 700 },
  avif: { bytes: 40, nanoseconds: 150 },
};

/** Pixels of the image that is made of `width` x `height` samples. */
export function imagePixels(
  { width, height }: Size,
  { frame, rotation }: Pick<Look, 'frame' | 'rotation'>,
): number {
  const image = frame ?? turnedSize({ width, height }, rotation);
  return image.width * image.height;
}

/** Cost of turning and encoding so many pixels. */
export function encodingCost(pixels: number, format: ImageFormat): Estimate {
  const { bytes, nanoseconds } = COSTS[format];
  return { bytes: pixels * bytes, work: (pixels * nanoseconds) / 1e6 };
}
