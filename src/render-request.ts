import { MAX_SIDE } from './container/layout.ts';
import { messageOf, RequestError, shown } from './errors.ts';
import { expectObject } from './given.ts';
import type { Region } from './head/query.ts';
import {
  add,
  compare,
  divide,
  type Exact,
  multiply,
  type Rational,
  toNumber,
  toRational,
} from './head/rational.ts';
import type { RenderQuery } from './pixels/render.ts';

/**
 * A region of a picture and an output size: `scale`, or `width`, or `height`, or both sides. A side that is
 * left out follows the shape of the region.
 *
 * @example
 * image.render({ region: { x: 100, y: 50, width: 400, height: 300 }, width: 1200 }); // 1200 x 900 pixels
 */
export interface RenderRequest {
  /** In pixels of the picture. Default: the whole picture. */
  readonly region?: Region;
  /**
   * Output pixels per picture pixel, above 0. Default 1, where neither `width` nor `height` is given; not
   * together with them.
   */
  readonly scale?: Exact;
  /** Width of the output in whole pixels, 1 to 2^24. */
  readonly width?: number;
  /** Height of the output in whole pixels, 1 to 2^24. */
  readonly height?: number;
  /** Bits of an output sample. Default 8. */
  readonly depth?: 8 | 16;
  /**
   * Whether the region may reach beyond the picture, whose border pixels are repeated there. Default false:
   * such a region is a RequestError.
   */
  readonly allowOutside?: boolean;
}

/** Fills in what a request leaves open. Throws RequestError for a request that does not fit the picture. */
export function resolveRequest(
  picture: { readonly width: number; readonly height: number },
  request: RenderRequest,
): RenderQuery {
  expectObject(request, 'request');
  const region = request.region ?? { x: 0, y: 0, width: picture.width, height: picture.height };
  const [x, y, width, height] = (['x', 'y', 'width', 'height'] as const).map((name) =>
    exact(region[name], `region.${name}`),
  ) as [Rational, Rational, Rational, Rational];
  if (width.numerator <= 0n || height.numerator <= 0n)
    throw new RequestError('The region is empty: its width and height must be positive');
  if (!request.allowOutside) {
    const inside =
      x.numerator >= 0n &&
      y.numerator >= 0n &&
      compare(add(x, width), toRational(picture.width)) <= 0 &&
      compare(add(y, height), toRational(picture.height)) <= 0;
    if (!inside)
      throw new RequestError(
        `The region ${[x, y, width, height].map((v) => toNumber(v)).join(',')} reaches outside the picture of ${picture.width} x ${picture.height} pixels`,
      );
  }
  const depth = request.depth ?? 8;
  if (depth !== 8 && depth !== 16)
    throw new RequestError(`Expected a depth of 8 or 16 but received ${shown(depth)}`);
  return { region: { x, y, width, height }, ...outputSize(width, height, request), depth };
}

function exact(value: Exact, name: string): Rational {
  try {
    return toRational(value);
  } catch (cause) {
    throw new RequestError(`${name}: ${messageOf(cause)}`, { cause });
  }
}

function outputSize(
  width: Rational,
  height: Rational,
  request: RenderRequest,
): { width: number; height: number } {
  if (request.scale !== undefined && (request.width !== undefined || request.height !== undefined))
    throw new RequestError('Give either a scale or a width and height, not both');
  const sized = (side: Rational, scale: Rational): number => {
    const exact = multiply(side, scale);
    const rounded = (2n * exact.numerator + exact.denominator) / (2n * exact.denominator);
    return Number(rounded < 1n ? 1n : rounded);
  };
  let size: { width: number; height: number };
  if (request.width === undefined && request.height === undefined) {
    const scale = exact(request.scale ?? 1, 'scale');
    if (scale.numerator <= 0n)
      throw new RequestError(`Expected a positive scale but received ${toNumber(scale)}`);
    size = { width: sized(width, scale), height: sized(height, scale) };
  } else {
    for (const side of [request.width, request.height])
      if (side !== undefined && !(Number.isInteger(side) && side > 0))
        throw new RequestError(
          `Expected a width and height of whole pixels, at least 1, but received ${shown(side)}`,
        );
    size = {
      width: request.width ?? sized(width, divide(toRational(request.height!), height)),
      height: request.height ?? sized(height, divide(toRational(request.width!), width)),
    };
  }
  if (size.width > MAX_SIDE || size.height > MAX_SIDE)
    throw new RequestError(
      `An output of ${size.width} x ${size.height} pixels is beyond ${MAX_SIDE} on a side; ask for a smaller region or scale`,
    );
  return size;
}
