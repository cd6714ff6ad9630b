import type { RenderQuery } from '../../pixels/render.ts';
import type { ImageFormat } from './image-format.ts';

/** Size of a picture in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** How pixels leave as an image. */
export interface Look {
  /** Tiles are full size: what the query does not fill on the right and below is transparent, or white in formats without alpha. */
  readonly frame?: Size;
  readonly mirror: boolean;
  /** Degrees clockwise after mirroring, 0 <= rotation < 360. */
  readonly rotation: number;
  readonly color: 'default' | 'gray' | 'bitonal';
  readonly format: ImageFormat;
}

/** What a protocol makes of a request: pixels to compute, and how they look. Pure data, equal for equal requests. */
export interface Rendering extends Look {
  readonly query: RenderQuery;
  /** `bicubic` enlarges what native decoding gives, for comparison. */
  readonly method: 'decode' | 'bicubic';
  /** All of the above as text: equal exactly for equal renderings. */
  readonly key: string;
}

export const MIME_TYPES: Readonly<Record<ImageFormat, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  webp: 'image/webp',
  avif: 'image/avif',
  tif: 'image/tiff',
  gif: 'image/gif',
};
