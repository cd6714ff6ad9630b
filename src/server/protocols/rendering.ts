import type { RenderQuery } from '../../pixels/render.ts';
import type { ImageFormat } from './image-format.ts';

/** Size of a picture in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** How pixels become an image. */
export interface Look {
  /**
   * Full size of a tile. The part that the query does not fill, on the right and below, is transparent, or
   * white in formats without alpha.
   */
  readonly frame?: Size;
  readonly mirror: boolean;
  /** Degrees clockwise after mirroring, 0 <= rotation < 360. */
  readonly rotation: number;
  readonly color: 'default' | 'gray' | 'bitonal';
  readonly format: ImageFormat;
}

/**
 * What a protocol makes of a request: the pixels to compute, and their look. Pure data, equal for equal
 * requests.
 */
export interface Rendering extends Look {
  readonly query: RenderQuery;
  /** `bicubic` enlarges the native pixels, for comparison. */
  readonly method: 'decode' | 'bicubic';
  /** All of the above as text: equal exactly for equal renderings. */
  readonly key: string;
}

/**
 * The size of an image after it is turned clockwise by so many degrees, rounded up; libvips may give a pixel
 * less.
 */
export function turnedSize(size: Size, rotation: number): Size {
  const { width, height } = turnedSides(size, rotation);
  return { width: Math.ceil(width), height: Math.ceil(height) };
}

/** As `turnedSize`, but not rounded. */
export function turnedSides({ width, height }: Size, rotation: number): Size {
  // Sines of right angles are not quite 0.
  if (rotation % 90 === 0) return rotation % 180 === 0 ? { width, height } : { width: height, height: width };
  const angle = (rotation * Math.PI) / 180;
  const cos = Math.abs(Math.cos(angle));
  const sin = Math.abs(Math.sin(angle));
  return { width: width * cos + height * sin, height: width * sin + height * cos };
}

export const MIME_TYPES: Readonly<Record<ImageFormat, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  webp: 'image/webp',
  avif: 'image/avif',
  tif: 'image/tiff',
  gif: 'image/gif',
};
