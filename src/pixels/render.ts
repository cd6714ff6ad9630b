import type { Axis, Engine, Extent, FeatureMap, Query, Rect, Samples } from '../engine/engine.ts';
import type { Lease } from '../features/leased-cache.ts';
import { planSampling, type Region, sampleAxis } from '../head/query.ts';
import type { Raster } from '../image/raster.ts';
import { inParallel } from '../parallel.ts';

/** What to render: spec 4.1. */
export interface RenderQuery {
  readonly region: Region;
  /** Output pixels. */
  readonly width: number;
  readonly height: number;
  readonly depth: 8 | 16;
}

/** The picture that is rendered, as far as rendering needs it. */
export interface RenderPicture {
  readonly levels: number;
  readonly overviewFactor: number;
  /** 3 or 1, without alpha. */
  readonly channels: 1 | 3;
  readonly alpha: boolean;
  /** Sites of a level: its size in pixels, padded to whole latents. */
  sites(level: number): Extent;
  /** P over a window of a level and plane. */
  features(level: number, plane: number, rect: Rect, signal?: AbortSignal): Promise<Lease<FeatureMap>>;
}

/** How sites are grouped into windows of P: squares of `size` sites, counted from the corner of the level, or fitted to what a query needs. */
export interface BlockOptions {
  readonly size: number;
  readonly fitted: boolean;
}

/** Output pixels handed to the engine in one query, so that its threads share a block. */
const PIXELS_PER_QUERY = 1 << 16;

/** A run of output rows (or columns) from .. to-1 served by sites first .. last of one block. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Output rows `from` .. `to`-1 of a query. However an output is cut into calls, its samples are the same. Memory: the band,
 * and two windows of features at a time for each thread of the engine.
 */
export async function renderBand(
  picture: RenderPicture,
  engine: Engine,
  query: RenderQuery,
  from: number,
  to: number,
  blocks: BlockOptions,
  signal?: AbortSignal,
): Promise<Raster> {
  const { region, depth } = query;
  const plan = planSampling(region, query.width, query.height, picture.levels, picture.overviewFactor);
  const sites = picture.sites(plan.level);
  const { rows: averageRows, columns: averageColumns } = plan.average;
  const rows = sampleAxis(
    region.y,
    region.height,
    query.height * averageRows,
    plan.reduction,
    sites.height,
    from * averageRows,
    to * averageRows,
  );
  const columns = sampleAxis(
    region.x,
    region.width,
    query.width * averageColumns,
    plan.reduction,
    sites.width,
  );
  const channels = (picture.channels + (picture.alpha ? 1 : 0)) as Raster['channels'];
  const width = query.width * averageColumns;
  const height = (to - from) * averageRows;
  const raster = (data: Raster['data']): Raster => ({ width, height, channels, data });
  let sampled: Raster | undefined;

  const work: { plane: number; rowRun: Run; columnRun: Run }[] = [];
  for (const rowRun of runs(rows, sites.height, blocks)) {
    for (const columnRun of runs(columns, sites.width, blocks)) {
      for (let plane = 0; plane < (picture.alpha ? 2 : 1); plane++) work.push({ plane, rowRun, columnRun });
    }
  }
  await inParallel(engine.threads + 1, work, async ({ plane, rowRun, columnRun }) => {
    const rect: Rect = {
      top: rowRun.first,
      left: columnRun.first,
      height: rowRun.last - rowRun.first + 1,
      width: columnRun.last - columnRun.first + 1,
    };
    const lease = await picture.features(plan.level, plane, rect, signal);
    try {
      const columnAxis = slice(columns, columnRun.from, columnRun.to);
      const queries: Query[] = [];
      const starts: number[] = [];
      const step = Math.max(1, Math.floor(PIXELS_PER_QUERY / (columnRun.to - columnRun.from)));
      for (let row = rowRun.from; row < rowRun.to; row += step) {
        starts.push(row);
        queries.push({ rows: slice(rows, row, Math.min(rowRun.to, row + step)), columns: columnAxis, depth });
      }
      const results = await engine.pixels(lease.value, queries, signal);
      // The usual tile: all of it comes from one query, and nothing is copied.
      if (work.length === 1 && results.length === 1 && channels === 3) sampled = raster(results[0]!);
      else {
        const size = width * height * channels;
        sampled ??= raster(depth === 16 ? new Uint16Array(size) : new Uint8Array(size));
        for (const [i, samples] of results.entries())
          place(samples, sampled, starts[i]!, columnRun, plane === 1, picture.channels === 1);
      }
    } finally {
      lease.release();
    }
  });
  const whole = sampled!; // outputs have pixels
  return averageRows * averageColumns > 1 ? average(whole, averageColumns, averageRows) : whole;
}

/** Cuts an axis where the site index passes from one block to the next. Indices do not decrease along an axis. */
function runs(axis: Axis, sites: number, blocks: BlockOptions): Run[] {
  const { index } = axis;
  const clamped = (i: number) => Math.min(sites - 1, Math.max(0, index[i]!));
  const origin = blocks.fitted ? clamped(0) : 0;
  const found: Run[] = [];
  let from = 0;
  while (from < index.length) {
    const block = Math.floor((clamped(from) - origin) / blocks.size);
    const end = origin + (block + 1) * blocks.size;
    let to = from + 1;
    while (to < index.length && clamped(to) < end) to++;
    const first = blocks.fitted ? clamped(from) : block * blocks.size;
    const last = blocks.fitted ? clamped(to - 1) + 1 : end;
    found.push({ from, to, first, last: Math.min(sites - 1, last) });
    from = to;
  }
  return found;
}

function slice(axis: Axis, from: number, to: number): Axis {
  return {
    index: axis.index.subarray(from, to),
    fraction: axis.fraction.subarray(from, to),
    cell: axis.cell,
  };
}

/** Copies RGB samples to their place; grey and alpha become one channel. Spec 4.6. */
function place(
  samples: Samples,
  into: Raster,
  row: number,
  columns: Run,
  alpha: boolean,
  gray: boolean,
): void {
  const { width, channels, data } = into;
  const count = columns.to - columns.from;
  const rows = samples.length / (3 * count);
  for (let y = 0, i = 0; y < rows; y++) {
    let o = ((row + y) * width + columns.from) * channels;
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

/** Means of blocks of columns x rows samples, powers of two. Spec 4.2. */
function average(raster: Raster, columns: number, rows: number): Raster {
  const { channels } = raster;
  const width = raster.width / columns;
  const height = raster.height / rows;
  const count = columns * rows;
  const data =
    raster.data instanceof Uint16Array
      ? new Uint16Array(width * height * channels)
      : new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = count >> 1;
        for (let dy = 0; dy < rows; dy++) {
          let i = ((y * rows + dy) * raster.width + x * columns) * channels + c;
          for (let dx = 0; dx < columns; dx++, i += channels) sum += raster.data[i]!;
        }
        data[(y * width + x) * channels + c] = Math.floor(sum / count);
      }
    }
  }
  return { width, height, channels, data };
}
