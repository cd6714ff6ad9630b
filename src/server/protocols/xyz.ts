import { compare, floorDivide, multiply, type Rational, toRational } from '../../head/rational.ts';
import type { RenderQuery } from '../../pixels/render.ts';
import type { ImageFormat } from '../http/request.ts';
import { badRequest, notFound } from '../problem.ts';
import type { Rendering, Size } from './rendering.ts';

/** Pixels on the side of a tile at @1x. */
export const TILE_SIZE = 256;

export interface TileAddress {
  readonly z: number;
  readonly x: bigint;
  readonly y: bigint;
  readonly pixelRatio: 1 | 2 | 3;
  readonly format: ImageFormat;
  readonly method: 'decode' | 'bicubic';
}

/** The zoom at which a pixel of a tile is a pixel of the picture: m of spec 4.7. */
export function nativeZoom(picture: Size): number {
  let zoom = 0;
  while (TILE_SIZE * 2 ** zoom < Math.max(picture.width, picture.height)) zoom++;
  return zoom;
}

/** Pixels of the picture that a tile covers along one side at zoom z: TILE_SIZE * 2^(m-z), exact. */
export function tileSpan(picture: Size, z: number): Rational {
  const shift = nativeZoom(picture) - z;
  return shift >= 0
    ? { numerator: BigInt(TILE_SIZE) << BigInt(shift), denominator: 1n }
    : { numerator: BigInt(TILE_SIZE), denominator: 1n << BigInt(-shift) };
}

/** A tile of spec 4.7. Throws Problem: 404 outside the picture, 400 for a comparison before native. */
export function tileRendering(picture: Size, address: TileAddress): Rendering {
  const { z, x, y, pixelRatio, format, method } = address;
  const span = tileSpan(picture, z);
  const left = multiply(span, toRational(x));
  const top = multiply(span, toRational(y));
  if (compare(left, toRational(picture.width)) >= 0 || compare(top, toRational(picture.height)) >= 0)
    throw notFound('The tile lies outside the picture.');
  if (method === 'bicubic' && z <= nativeZoom(picture))
    throw badRequest('invalid-method', `Comparisons begin past native zoom, ${nativeZoom(picture)} here.`);
  const size = TILE_SIZE * pixelRatio;
  const full: RenderQuery = {
    region: { x: left, y: top, width: span, height: span },
    width: size,
    height: size,
    depth: 8,
  };
  return {
    query: insideOf(picture, full),
    method,
    frame: { width: size, height: size },
    mirror: false,
    rotation: 0,
    color: 'default',
    format,
    key: `xyz/${z}/${x}/${y}/${size}/${method}/${format}`,
  };
}

/**
 * The query without the rows and columns whose centres lie beyond the right and lower border. Steps stay the same, so the pixels that remain
 * are those of the whole query.
 */
export function insideOf(picture: Size, query: RenderQuery): RenderQuery {
  const { region } = query;
  const columns = pixelsInside(
    toRational(region.x),
    toRational(region.width),
    query.width,
    BigInt(picture.width),
  );
  const rows = pixelsInside(
    toRational(region.y),
    toRational(region.height),
    query.height,
    BigInt(picture.height),
  );
  if (columns === query.width && rows === query.height) return query;
  return {
    region: {
      x: region.x,
      y: region.y,
      width: multiply(toRational(region.width), {
        numerator: BigInt(columns),
        denominator: BigInt(query.width),
      }),
      height: multiply(toRational(region.height), {
        numerator: BigInt(rows),
        denominator: BigInt(query.height),
      }),
    },
    width: columns,
    height: rows,
    depth: query.depth,
  };
}

/** How many of `count` pixels over start .. start+length have their centre before `limit`; at least 1. */
function pixelsInside(start: Rational, length: Rational, count: number, limit: bigint): number {
  // start + (j + 1/2) * length / count < limit
  const n = BigInt(count);
  const step = multiply(length, { numerator: 1n, denominator: n });
  const room = {
    numerator: limit * start.denominator - start.numerator,
    denominator: start.denominator,
  };
  // j < room / step - 1/2: the number of such j is ceil(room / step - 1/2)
  const numerator = 2n * room.numerator * step.denominator - room.denominator * step.numerator;
  const denominator = 2n * room.denominator * step.numerator;
  const inside = -floorDivide(-numerator, denominator);
  if (inside >= n) return count;
  return inside < 1n ? 1 : Number(inside);
}
