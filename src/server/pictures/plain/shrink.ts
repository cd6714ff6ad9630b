import sharp, { type Sharp } from 'sharp';
import type { Rect } from '../../../engine/engine.ts';
import { toNumber, toRational } from '../../../head/rational.ts';
import type { Raster } from '../../../image/raster.ts';
import type { RenderQuery } from '../../../pixels/render.ts';

/** Smaller queries are resampled exactly, with their neighbors. */
const MIN_PIXELS = 512 * 512;

/**
 * A large reduction of whole samples of a level, which has 1/2^level of the picture's scale, on libvips' threads; undefined for all other queries. Such a reduction needs
 * no samples beyond its region.
 */
export function shrunk(raster: Raster, level: number, query: RenderQuery): Promise<Raster> | undefined {
  const { width, height } = query;
  if (width * height <= MIN_PIXELS) return undefined;
  const window = wholeWindow(query, level);
  if (!window || window.width < width || window.height < height) return undefined;
  const { top, left } = window;
  if (top < 0 || left < 0 || left + window.width > raster.width || top + window.height > raster.height)
    return undefined;
  return rasterOf(
    opened(raster)
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

/** The query's region in samples of a level; undefined if those are not whole numbers. */
function wholeWindow({ region }: RenderQuery, level: number): Rect | undefined {
  const [left, top, width, height] = [region.x, region.y, region.width, region.height].map((side) => {
    const { numerator, denominator } = toRational(side);
    return toNumber({ numerator, denominator: denominator << BigInt(level) });
  }) as [number, number, number, number];
  return [left, top, width, height].every(Number.isSafeInteger) ? { left, top, width, height } : undefined;
}

function opened({ data, width, height, channels }: Raster): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

async function rasterOf(image: Sharp): Promise<Raster> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels as Raster['channels'], data };
}
