import type { Axis, Engine, FeatureMap, Rect, Samples } from '../engine/engine.ts';
import { NATIVE_CELL, nativeAxis } from '../head/query.ts';
import type { Raster } from '../image/raster.ts';

/**
 * Whether the pixels of an axis are those of consecutive sites inside the level: fraction 0 and cell 1 (spec 4.2), as native pixels are, and the
 * grid of a reduction by a power of two. Then their samples depend on nothing else, and are the same in every query.
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

/** Pixels on the sites of a rectangle, 8 bits, in 3 channels or, spec 4.6, in 1. `features` holds the sites and those after them. */
export async function sitePixels(
  engine: Engine,
  features: FeatureMap,
  { top, left, height, width }: Rect,
  channels: 1 | 3,
  signal?: AbortSignal,
): Promise<Raster> {
  const query = { rows: nativeAxis(top, height), columns: nativeAxis(left, width), depth: 8 } as const;
  const [samples] = await engine.pixels(features, [query], signal);
  const raster: Raster = { width, height, channels, data: samples! };
  if (channels === 3) return raster;
  const data = new Uint8Array(height * width);
  place(samples!, { ...raster, data }, 0, 0, width, false, true);
  return { ...raster, data };
}

/** Copies RGB samples of `count` columns to a place in a raster; gray and alpha become one channel. Spec 4.6. */
export function place(
  samples: Samples,
  { width, channels, data }: Raster,
  top: number,
  left: number,
  count: number,
  alpha: boolean,
  gray: boolean,
): void {
  const rows = samples.length / (3 * count);
  for (let y = 0, i = 0; y < rows; y++) {
    let o = ((top + y) * width + left) * channels;
    if (!alpha && !gray && channels === 3) {
      data.set(samples.subarray(i, i + 3 * count), o);
      i += 3 * count;
      continue;
    }
    if (alpha) o += channels - 1;
    for (let x = 0; x < count; x++, i += 3, o += channels) {
      if (alpha || gray) data[o] = (samples[i]! + 2 * samples[i + 1]! + samples[i + 2]! + 2) >> 2;
      else {
        data[o] = samples[i]!;
        data[o + 1] = samples[i + 1]!;
        data[o + 2] = samples[i + 2]!;
      }
    }
  }
}

/** Copies the pixels of `rect`, counted from the corner of `from`, to a place in a raster; `alpha`: they are its last channel, else its first. */
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
