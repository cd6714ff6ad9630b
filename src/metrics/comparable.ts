import { RequestError } from '../errors.ts';
import { expectRaster, type Raster } from '../image/raster.ts';

/** Throws RequestError for what is no raster, and for rasters of different sizes or color spaces. */
export function expectComparable(a: Raster, b: Raster): void {
  for (const raster of [a, b]) expectRaster(raster);
  if (a.width !== b.width || a.height !== b.height)
    throw new RequestError(
      `Pictures of ${a.width} x ${a.height} and ${b.width} x ${b.height} pixels cannot be compared`,
    );
  if (!haveColorsAlike(a, b))
    throw new RequestError(
      `A picture in ${a.colorSpace ?? 'srgb'} and one in ${b.colorSpace ?? 'srgb'} cannot be compared; convert one of them`,
    );
}

/** Whether samples of both mean the same. Gray is in all color spaces. */
export function haveColorsAlike(a: Raster, b: Raster): boolean {
  return (a.colorSpace ?? 'srgb') === (b.colorSpace ?? 'srgb') || a.channels < 3 || b.channels < 3;
}
