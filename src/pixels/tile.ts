import { floorDivide, multiply, type Rational, toRational } from '../head/rational.ts';
import type { RenderQuery } from './render.ts';

/** Pixels on the side of a tile at @1x. */
export const TILE_SIZE = 256;

interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** The zoom at which a pixel of a tile is a pixel of the picture: m of spec 4.8. */
export function nativeZoom(picture: PictureSize): number {
  let zoom = 0;
  while (TILE_SIZE * 2 ** zoom < Math.max(picture.width, picture.height)) zoom++;
  return zoom;
}

/** Pixels of the picture that a tile covers along one side at zoom z: TILE_SIZE * 2^(m-z), exact. */
export function tileSpan(picture: PictureSize, z: number): Rational {
  const shift = nativeZoom(picture) - z;
  return shift >= 0
    ? { numerator: BigInt(TILE_SIZE) << BigInt(shift), denominator: 1n }
    : { numerator: BigInt(TILE_SIZE), denominator: 1n << BigInt(-shift) };
}

/**
 * Tile z/x/y of spec 4.8 at `size` pixels, without the rows and columns whose centers lie beyond the right
 * and lower border. Steps stay the same, so the pixels that remain are those of the whole tile. The tile must
 * touch the picture.
 */
export function tileQuery(picture: PictureSize, z: number, x: bigint, y: bigint, size: number): RenderQuery {
  const span = tileSpan(picture, z);
  const [left, top] = [x, y].map((number) => multiply(span, toRational(number))) as [Rational, Rational];
  const width = pixelsInside(left, span, size, BigInt(picture.width));
  const height = pixelsInside(top, span, size, BigInt(picture.height));
  const length = (count: number): Rational =>
    count === size ? span : multiply(span, { numerator: BigInt(count), denominator: BigInt(size) });
  return {
    region: { x: left, y: top, width: length(width), height: length(height) },
    width,
    height,
    depth: 8,
  };
}

/** Whether coordinates are whole: they name a pixel of the picture then, and a point otherwise. */
export function namesPixel(x: Rational, y: Rational): boolean {
  return [x, y].every(({ numerator, denominator }) => numerator % denominator === 0n);
}

/** The pixel that coordinates name, or one at a point with the finest cell there is, a quarter of a pixel. */
export function pointQuery(x: Rational, y: Rational): RenderQuery {
  const native = namesPixel(x, y);
  const start = (at: Rational): Rational =>
    native ? at : { numerator: 8n * at.numerator - at.denominator, denominator: 8n * at.denominator };
  const side = native ? 1 : 0.25;
  return { region: { x: start(x), y: start(y), width: side, height: side }, width: 1, height: 1, depth: 8 };
}

/** How many of `count` pixels over start .. start+length have their center before `limit`; at least 1. */
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
