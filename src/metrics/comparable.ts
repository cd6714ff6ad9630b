import { RequestError } from '../errors.ts';
import type { Raster } from '../image/raster.ts';

/** Throws RequestError for rasters of different sizes or color spaces. Gray is in all of them. */
export function expectComparable(a: Raster, b: Raster): void {
  if (a.width !== b.width || a.height !== b.height)
    throw new RequestError(
      `Pictures of ${a.width} x ${a.height} and ${b.width} x ${b.height} pixels cannot be compared`,
    );
  const [spaceA, spaceB] = [a, b].map(({ colorSpace = 'srgb' }) => colorSpace);
  if (spaceA !== spaceB && a.channels >= 3 && b.channels >= 3)
    throw new RequestError(
      `A picture in ${spaceA} and one in ${spaceB} cannot be compared; convert one of them`,
    );
}
