import type { RenderQuery } from '../../pixels/render.ts';
import type { Size } from './rendering.ts';

/** The picture, or a virtual canvas `factor` times as large. */
export interface Canvas {
  readonly picture: Size;
  readonly factor: number;
}

/** A rectangle in whole pixels. */
export interface Box extends Size {
  readonly x: number;
  readonly y: number;
}

export function canvasSize({ picture, factor }: Canvas): Size {
  return { width: picture.width * factor, height: picture.height * factor };
}

/**
 * A box on the canvas reduced by `reduction`, in pixels of the picture. Positions on a canvas are whole
 * numbers below 2^53 (24 bits of side, 20 of factor); divided by `factor` they are positions on the picture.
 */
export function regionOnPicture({ factor }: Canvas, box: Box, reduction = 1): RenderQuery['region'] {
  const onPicture = (position: number) => ({
    numerator: BigInt(position) * BigInt(reduction),
    denominator: BigInt(factor),
  });
  return {
    x: onPicture(box.x),
    y: onPicture(box.y),
    width: onPicture(box.width),
    height: onPicture(box.height),
  };
}
