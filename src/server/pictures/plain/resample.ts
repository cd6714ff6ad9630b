import type { Extent, Rect } from '../../../engine/engine.ts';
import { sampleAxis } from '../../../head/query.ts';
import { divide, multiply, type Rational, toNumber, toRational } from '../../../head/rational.ts';
import { cropped, hasAlpha, type Raster } from '../../../image/raster.ts';
import type { RenderQuery } from '../../../pixels/render.ts';

/** A part of a level: rows top .. and columns left .. of `rows` x `columns` samples. */
export interface Samples {
  readonly raster: Raster;
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
}

/** For each output pixel of an axis, `taps` samples and their weights, which add up to 1. */
interface Filter {
  readonly taps: number;
  readonly index: Int32Array;
  readonly weight: Float32Array;
}

/**
 * Cubic convolution (Keys, a = -1/2), widened for reductions. Positions are exact, so neighboring tiles join
 * at any zoom. `source` is part of a level that reduces the picture by `reduction`, and holds the samples of
 * `rectNeeded`. Positions beyond the level repeat its border. Alpha weights colors.
 */
export function resample(source: Samples, reduction: bigint, query: RenderQuery): Raster {
  const { raster } = source;
  const { channels } = raster;
  const rows = filterOf(query.region.y, query.region.height, query.height, reduction, source.rows);
  const columns = filterOf(query.region.x, query.region.width, query.width, reduction, source.columns);
  const alpha = hasAlpha(channels);
  const colors = alpha ? channels - 1 : channels;
  const data = new Uint8Array(query.width * query.height * channels);
  // Rows of the source already filtered along x.
  const filtered = new Map<number, Float32Array>();
  const rowOf = (row: number): Float32Array => {
    const found = filtered.get(row);
    if (found) return found;
    if (filtered.size >= rows.taps * 2) filtered.delete(filtered.keys().next().value!);
    const out = new Float32Array(query.width * channels);
    const start = (row - source.top) * raster.width;
    for (let x = 0; x < query.width; x++) {
      for (let t = 0; t < columns.taps; t++) {
        const weight = columns.weight[x * columns.taps + t]!;
        let i = (start + columns.index[x * columns.taps + t]! - source.left) * channels;
        const o = x * channels;
        if (alpha) {
          const opacity = weight * raster.data[i + colors]!;
          for (let c = 0; c < colors; c++) out[o + c]! += opacity * raster.data[i++]!;
          out[o + colors]! += opacity;
        } else for (let c = 0; c < colors; c++) out[o + c]! += weight * raster.data[i++]!;
      }
    }
    filtered.set(row, out);
    return out;
  };
  const sums = new Float32Array(query.width * channels);
  for (let y = 0; y < query.height; y++) {
    sums.fill(0);
    for (let t = 0; t < rows.taps; t++) {
      const weight = rows.weight[y * rows.taps + t]!;
      if (weight === 0) continue;
      const row = rowOf(rows.index[y * rows.taps + t]!);
      for (let i = 0; i < sums.length; i++) sums[i]! += weight * row[i]!;
    }
    const o = y * sums.length;
    if (alpha) {
      for (let i = 0; i < sums.length; i += channels) {
        const opacity = sums[i + colors]!;
        for (let c = 0; c < colors; c++) data[o + i + c] = opacity > 0 ? clamped(sums[i + c]! / opacity) : 0;
        data[o + i + colors] = clamped(opacity);
      }
    } else for (let i = 0; i < sums.length; i++) data[o + i] = clamped(sums[i]!);
  }
  return { width: query.width, height: query.height, channels, data };
}

/** The samples of a level under a query; undefined where those are not whole ones, all inside the level. */
export function wholeWindow({ region }: RenderQuery, reduction: bigint, level: Extent): Rect | undefined {
  const [left, top, width, height] = [region.x, region.y, region.width, region.height].map((side) => {
    const { numerator, denominator } = toRational(side);
    const over = denominator * reduction;
    return numerator % over === 0n ? Number(numerator / over) : Number.NaN;
  }) as [number, number, number, number];
  const isInside = left >= 0 && top >= 0 && left + width <= level.width && top + height <= level.height;
  return isInside ? { left, top, width, height } : undefined;
}

/** The part of a level that a query reads, in memory of its own. */
export function windowOf(source: Raster, reduction: bigint, query: RenderQuery): Samples {
  const rect = rectNeeded(query, reduction, source);
  const { top, left } = rect;
  return { raster: cropped(source, rect), top, left, rows: source.height, columns: source.width };
}

/** The samples of a level of `height` x `width` that a query reads. */
export function rectNeeded(query: RenderQuery, reduction: bigint, { height, width }: Extent): Rect {
  const { region } = query;
  const rows = samplesNeeded(region.y, region.height, query.height, reduction, height);
  const columns = samplesNeeded(region.x, region.width, query.width, reduction, width);
  return {
    top: rows.first,
    left: columns.first,
    height: rows.last - rows.first + 1,
    width: columns.last - columns.first + 1,
  };
}

/** First and last row (or column) of a level that a query reads. */
function samplesNeeded(
  start: RenderQuery['region']['x'],
  length: RenderQuery['region']['x'],
  count: number,
  reduction: bigint,
  side: number,
): { first: number; last: number } {
  const { index } = filterOf(start, length, count, reduction, side);
  return index.reduce(
    ({ first, last }, sample) => ({ first: Math.min(first, sample), last: Math.max(last, sample) }),
    { first: side - 1, last: 0 },
  );
}

function filterOf(
  start: RenderQuery['region']['x'],
  length: RenderQuery['region']['x'],
  count: number,
  reduction: bigint,
  side: number,
): Filter {
  const axis = sampleAxis(start, length, count, reduction, side);
  const step = stepOf(length, count, reduction);
  const widening = Math.max(1, step);
  // A step of 1 on whole positions reads single samples: an exact copy.
  const exact = step === 1 && axis.fraction.every((fraction) => fraction === 0);
  const taps = exact ? 1 : 2 * Math.ceil(2 * widening);
  const index = new Int32Array(count * taps);
  const weight = new Float32Array(count * taps);
  for (let j = 0; j < count; j++) {
    const fraction = axis.fraction[j]! / 2 ** 14;
    let sum = 0;
    for (let t = 0; t < taps; t++) {
      const offset = exact ? 0 : t - taps / 2 + 1;
      index[j * taps + t] = Math.min(side - 1, Math.max(0, axis.index[j]! + offset));
      const value = exact ? 1 : cubic((offset - fraction) / widening);
      weight[j * taps + t] = value;
      sum += value;
    }
    for (let t = 0; t < taps; t++) weight[j * taps + t]! /= sum;
  }
  return { taps, index, weight };
}

function stepOf(length: RenderQuery['region']['x'], count: number, reduction: bigint): number {
  const native: Rational = divide(toRational(length), toRational(count));
  return toNumber(multiply(native, { numerator: 1n, denominator: reduction }));
}

function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

function clamped(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value);
}
