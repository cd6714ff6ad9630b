import { FRACTION_BITS, type Position, shifted, toFixed } from '../layer/position.ts';
import { isInside, TILE_SIZE, type TileSource } from '../tiles/tile-source.ts';

/** A part of a picture around a point, and its size as an image. */
export interface SavedRegion {
  readonly center: Position;
  /** Zoom at which `width` x `height` output pixels show the region. */
  readonly zoom: number;
  readonly width: number;
  readonly height: number;
}

/** Largest saved image, in pixels and on its longer side, within what browsers hold in a canvas. */
export const MAX_SAVED_PIXELS = 2 ** 25;
export const MAX_SAVED_SIDE = 8192;
const PARALLEL = 6;

/**
 * Makes a PNG of the region from tiles, in the color space of the source where the browser knows it. At whole
 * zooms it has exactly the source's pixels; others are reduced from the next whole zoom. Outside the picture
 * it is transparent. A canvas rounds colors of low alpha. Rejects with the error of a tile, or with the
 * signal's reason.
 */
export async function savedRegion(
  source: TileSource,
  region: SavedRegion,
  onProgress: (progress: number) => void,
  signal: AbortSignal,
): Promise<Blob> {
  const fine = Math.max(0, Math.ceil(region.zoom - 1e-6));
  const reduction = 2 ** (fine - region.zoom);
  const whole = Math.abs(reduction - 1) < 1e-5;
  // One tile @2x of the zoom before has the pixels of four tiles.
  const ratio = fine > 0 ? 2 : 1;
  const z = fine - (ratio - 1);
  const side = TILE_SIZE * ratio;
  const width = whole ? region.width : Math.ceil(region.width * reduction);
  const height = whole ? region.height : Math.ceil(region.height * reduction);
  const left = corner(region.center.x, width, fine - source.nativeZoom);
  const top = corner(region.center.y, height, fine - source.nativeZoom);
  const canvas = new OffscreenCanvas(width, height);
  const colors = { colorSpace: source.colorSpace ?? 'srgb' } as const;
  const context = canvas.getContext('2d', colors)!;
  const tiles: { readonly x: bigint; readonly y: bigint }[] = [];
  for (let y = floorDivide(top, side); y * BigInt(side) < top + BigInt(height); y++)
    for (let x = floorDivide(left, side); x * BigInt(side) < left + BigInt(width); x++)
      if (isInside(source, z, x, y)) tiles.push({ x, y });
  let next = 0;
  let done = 0;
  let failed = false;
  const work = async () => {
    while (next < tiles.length && !failed) {
      signal.throwIfAborted();
      const { x, y } = tiles[next++]!;
      const body = await source.tile(z, x, y, side, signal);
      const bitmap = body instanceof Blob ? await createImageBitmap(body) : body;
      context.drawImage(bitmap, Number(x * BigInt(side) - left), Number(y * BigInt(side) - top), side, side);
      bitmap.close();
      onProgress(++done / tiles.length);
    }
  };
  // After one failure there is no image, so no more tiles are asked for.
  await Promise.all(
    Array.from({ length: PARALLEL }, () =>
      work().catch((error) => {
        failed = true;
        throw error;
      }),
    ),
  );
  if (whole) return canvas.convertToBlob({ type: 'image/png' });
  const reduced = new OffscreenCanvas(region.width, region.height);
  const target = reduced.getContext('2d', colors)!;
  target.imageSmoothingQuality = 'high';
  target.drawImage(
    canvas,
    0,
    0,
    region.width * reduction,
    region.height * reduction,
    0,
    0,
    region.width,
    region.height,
  );
  return reduced.convertToBlob({ type: 'image/png' });
}

/** Where an image around a position begins, in pixels of which a pixel of the picture has 2^exponent. */
function corner(center: bigint, length: number, exponent: number): bigint {
  const half = toFixed(length / 2);
  const rounding = 1n << BigInt(FRACTION_BITS - 1);
  return shifted(shifted(center, exponent) - half + rounding, -FRACTION_BITS);
}

function floorDivide(value: bigint, by: number): bigint {
  const divisor = BigInt(by);
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}
