import sharp, { type Sharp } from 'sharp';
import type { Rect } from '../../../engine/engine.ts';
import type { Raster } from '../../../image/raster.ts';
import type { RenderQuery } from '../../../pixels/render.ts';

/** Smaller queries are resampled exactly, with their neighbors. */
const MIN_PIXELS = 512 * 512;

/**
 * Whether a query, which has the samples of `window` under it, is a large reduction: such a one needs no
 * samples beyond its region.
 */
export function isLargeReduction({ width, height }: RenderQuery, window: Rect): boolean {
  return width * height > MIN_PIXELS && window.width >= width && window.height >= height;
}

/** A part of a level in another size, on libvips' threads. */
export function shrunk(level: Raster, window: Rect, { width, height }: RenderQuery): Promise<Raster> {
  return rasterOf(
    opened(level)
      .extract(window)
      .resize(width, height, { fit: 'fill', kernel: 'cubic', fastShrinkOnLoad: false }),
  );
}

/** Half the size. The border of odd sides is repeated first, so that samples stay in place. */
export async function halved(raster: Raster): Promise<Raster> {
  const right = raster.width % 2;
  const bottom = raster.height % 2;
  const padded =
    right + bottom > 0
      ? await rasterOf(opened(raster).extend({ right, bottom, extendWith: 'copy' }))
      : raster;
  return rasterOf(
    opened(padded).resize(padded.width / 2, padded.height / 2, { fit: 'fill', kernel: 'cubic' }),
  );
}

function opened({ data, width, height, channels }: Raster): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

async function rasterOf(image: Sharp): Promise<Raster> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels as Raster['channels'], data };
}
