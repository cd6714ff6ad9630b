import type { Axis, Engine, FeatureMap, Query, Rect, Samples } from '../engine/engine.ts';
import type { Lease } from '../features/leased-cache.ts';
import { NATIVE_CELL, nativeAxis } from '../head/query.ts';
import type { Raster } from '../image/raster.ts';
import type { Run } from './blocks.ts';
import type { LevelGrid, RenderCall } from './render.ts';

/**
 * Whether the pixels of an axis are those of consecutive sites inside the level: fraction 0 and cell 1 (spec
 * 4.2), as native pixels are, and the grid of a reduction by a power of two. Then their samples depend on
 * nothing else, and are the same in every query.
 */
export function liesOnSites({ index, fraction, cell }: Axis): boolean {
  const last = index.length - 1;
  return (
    cell === NATIVE_CELL &&
    index[0]! >= 0 &&
    index[last]! - index[0]! === last &&
    fraction.every((part) => part === 0)
  );
}

/**
 * Pixels on the sites of a rectangle, 8 bits, in 3 channels or, spec 4.6, in 1. `features` holds the sites
 * and those after them.
 */
export async function sitePixels(
  engine: Engine,
  features: FeatureMap,
  { top, left, height, width }: Rect,
  channels: 1 | 3,
  signal?: AbortSignal,
): Promise<Raster> {
  const query = { rows: nativeAxis(top, height), columns: nativeAxis(left, width), depth: 8 } as const;
  const [samples] = await engine.pixels(features, [query], signal);
  return planePixels(samples!, width, channels === 1);
}

/**
 * The R, G and B of an engine as pixels of one plane, `width` of them in a row: in 3 channels or, spec 4.6,
 * in 1.
 */
export function planePixels(samples: Samples, width: number, gray: boolean): Raster {
  const pixels = samples.length / 3;
  const height = pixels / width;
  if (!gray) return { width, height, channels: 3, data: samples };
  const data = samples instanceof Uint16Array ? new Uint16Array(pixels) : new Uint8Array(pixels);
  for (let o = 0, i = 0; o < pixels; o++, i += 3)
    data[o] = (samples[i]! + 2 * samples[i + 1]! + samples[i + 2]! + 2) >> 2;
  return { width, height, channels: 1, data };
}

/**
 * A function that leases the kept pixels of the block of two runs; undefined for queries whose pixels do not
 * lie on sites.
 */
export function knownPixels(
  { picture, blocks, signal }: RenderCall,
  { level, rows, columns, depth }: LevelGrid,
) {
  if (!picture.sitePixels || blocks.fitted || depth !== 8 || !liesOnSites(rows) || !liesOnSites(columns))
    return undefined;
  const sites = picture.sites(level);
  return (plane: number, row: Run, column: Run): Promise<Lease<Raster>> | undefined => {
    const block = {
      top: row.first,
      left: column.first,
      height: Math.min(blocks.size, sites.height - row.first),
      width: Math.min(blocks.size, sites.width - column.first),
    };
    const wanted = (row.to - row.from) * (column.to - column.from);
    return picture.sitePixels!(level, plane, block, wanted, signal);
  };
}

/** The place of the first pixel of two runs in its block, for queries whose pixels lie on sites. */
export function withinBlock({ rows, columns }: Pick<Query, 'rows' | 'columns'>, row: Run, column: Run) {
  return { top: rows.index[row.from]! - row.first, left: columns.index[column.from]! - column.first };
}

/**
 * Copies the pixels of `rect`, counted from the corner of `from`, to a place in a raster; `alpha`: they are
 * its last channel, else its first.
 */
export function copyPixels(
  from: Raster,
  rect: Rect,
  into: Raster,
  top: number,
  left: number,
  alpha: boolean,
): void {
  const { channels } = from;
  const first = alpha ? into.channels - channels : 0;
  for (let y = 0; y < rect.height; y++) {
    let i = ((rect.top + y) * from.width + rect.left) * channels;
    let o = ((top + y) * into.width + left) * into.channels + first;
    if (channels === into.channels) {
      into.data.set(from.data.subarray(i, i + rect.width * channels), o);
      continue;
    }
    for (let x = 0; x < rect.width; x++, o += into.channels)
      for (let c = 0; c < channels; c++) into.data[o + c] = from.data[i++]!;
  }
}
