import { compare, multiply, toRational } from '../../head/rational.ts';
import { nativeZoom, TILE_SIZE, tileQuery, tileSpan } from '../../pixels/tile.ts';
import { badRequest, notFound } from '../problem.ts';
import type { ImageFormat } from './image-format.ts';
import type { Rendering, Size } from './rendering.ts';

/** A tile has so many times 256 pixels a side. */
export type PixelRatio = 1 | 2 | 3 | 4;

export interface TileAddress {
  readonly z: number;
  readonly x: bigint;
  readonly y: bigint;
  readonly pixelRatio: PixelRatio;
  readonly format: ImageFormat;
  readonly method: 'decode' | 'bicubic';
}

/**
 * A tile of the format's specification, 4.8. Throws Problem: 404 outside the picture, 400 for a comparison
 * that would enlarge nothing.
 */
export function tileRendering(picture: Size, address: TileAddress): Rendering {
  const { z, x, y, pixelRatio, format, method } = address;
  const span = tileSpan(picture, z);
  const left = multiply(span, toRational(x));
  const top = multiply(span, toRational(y));
  if (compare(left, toRational(picture.width)) >= 0 || compare(top, toRational(picture.height)) >= 0)
    throw notFound('The tile lies outside the picture.');
  const size = TILE_SIZE * pixelRatio;
  if (method === 'bicubic' && compare(span, toRational(size)) >= 0)
    throw badRequest(
      'invalid-method',
      `Comparisons begin past native scale, zoom ${nativeZoom(picture)} at @1x here.`,
    );
  return {
    query: tileQuery(picture, z, x, y, size),
    method,
    frame: { width: size, height: size },
    mirror: false,
    rotation: 0,
    color: 'default',
    format,
    key: `xyz/${z}/${x}/${y}/${size}/${method}/${format}`,
  };
}
