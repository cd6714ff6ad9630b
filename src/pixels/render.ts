import type { Axis, Engine, Extent, FeatureMap, GridPart, Query, Rect, Reduction } from '../engine/engine.ts';
import type { Lease } from '../features/leased-cache.ts';
import { gridSpan, isReduction, planSampling, type Region, sampleAxis } from '../head/query.ts';
import type { Exact } from '../head/rational.ts';
import { channelsOf, type Raster } from '../image/raster.ts';
import { inParallel } from '../parallel.ts';
import { Reducer } from './reduce.ts';
import { copyPixels, liesOnSites, place } from './site-pixels.ts';

/** A region, an output size and a depth: a request without anything left open, from `resolveRequest`. Spec 4.1. */
export interface RenderQuery {
  readonly region: Region;
  /** Output columns. */
  readonly width: number;
  /** Output rows. */
  readonly height: number;
  /** Bits of an output sample. */
  readonly depth: 8 | 16;
}

/** What rendering needs of a picture. */
export interface RenderPicture {
  /** Pixels of level 0. */
  readonly width: number;
  readonly height: number;
  readonly levels: number;
  readonly overviewFactor: number;
  /** 3 or 1, without alpha. */
  readonly channels: 1 | 3;
  readonly alpha: boolean;
  /** Sites of a level: its size in pixels, padded to whole latents. */
  sites(level: number): Extent;
  /** P over a window of a level and plane. */
  features(level: number, plane: number, rect: Rect, signal?: AbortSignal): Promise<Lease<FeatureMap>>;
  /**
   * Kept pixels of 8 bits on the sites of a block, with the channels of one plane; read-only. `wanted`: how many of them the caller needs. Undefined where
   * computing from features is cheaper. Absent where no pixels are kept.
   */
  sitePixels?(
    level: number,
    plane: number,
    block: Rect,
    wanted: number,
    signal?: AbortSignal,
  ): Promise<Lease<Raster>> | undefined;
}

/** How sites are grouped into windows of P: squares of `size` sites from the corner of the level on, or, if `fitted`, from the first site of a query on. */
export interface BlockOptions {
  readonly size: number;
  readonly fitted: boolean;
}

/** Side of a square of sites whose features, of `hidden` values each, take 64 MiB: the largest window of P that is asked for at once. */
export function largestBlock(hidden: number): number {
  return Math.floor((2 ** 25 / hidden) ** 0.5);
}

/** Output pixels of one query to the engine: few enough that its threads share a block. */
const PIXELS_PER_QUERY = 1 << 16;
/** Pixels that are filtered in one turn of the event loop: about 10 ms. */
const PIXELS_PER_TURN = 1 << 19;
/** Pixels of a strip, which is computed before it is reduced: about this many where blocks allow, and never more than the maximum. */
const STRIP_PIXELS = 1 << 21;
export const MAX_STRIP_PIXELS = 1 << 24;
/** Most grid pixels that an engine reduces in one call: a tile of 256 pixels at 1/4, or of 512 at 1/2, with margins. All their features are held. */
const MAX_GRID_PIXELS = 1100 ** 2;
/** Most values of those features: 150 MiB, twice as many sites of the released models as pixels. */
const MAX_HELD_VALUES = 78e6;

/** What all parts of one call need. */
interface RenderCall {
  readonly picture: RenderPicture;
  readonly engine: Engine;
  readonly blocks: BlockOptions;
  readonly signal: AbortSignal | undefined;
}

/** A grid of a level. */
type LevelGrid = Query & { readonly level: number };

/** A run of output rows (or columns) from .. to-1 served by sites first .. last of one block. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly last: number;
}

/** Output rows `from` .. `to`-1 of a query, all of its columns: see `renderPiece`. */
export function renderBand(
  picture: RenderPicture,
  engine: Engine,
  query: RenderQuery,
  from: number,
  to: number,
  blocks: BlockOptions,
  signal?: AbortSignal,
): Promise<Raster> {
  const piece = { top: from, left: 0, height: to - from, width: query.width };
  return renderPiece(picture, engine, query, piece, blocks, signal);
}

/**
 * A rectangle of the output of a query. However an output is cut into pieces, its samples are the same. Memory: the piece, for a reduction also a strip of
 * its grid, and two windows of features for each thread of the engine. `into`: memory of the piece's length that may receive the samples; it may be written
 * to even after an aborted call.
 */
export async function renderPiece(
  picture: RenderPicture,
  engine: Engine,
  query: RenderQuery,
  { top, left, height: pieceHeight, width: pieceWidth }: Rect,
  blocks: BlockOptions,
  signal?: AbortSignal,
  into?: Uint8Array,
): Promise<Raster> {
  const call = { picture, engine, blocks, signal };
  const { region, depth, width, height } = query;
  const bottom = top + pieceHeight;
  const right = left + pieceWidth;
  const plan = planSampling(region, width, height, picture.levels, picture.overviewFactor);
  const { level, reduction, density } = plan;
  const sites = picture.sites(level);
  if (!isReduction(plan)) {
    const rows = sampleAxis(region.y, region.height, height, reduction, sites.height, top, bottom);
    const columns = sampleAxis(region.x, region.width, width, reduction, sites.width, left, right);
    return renderGrid(call, { level, rows, columns, depth, into });
  }
  const axis = (side: 'height' | 'width', start: Exact, m: number, first: number, end: number) => {
    const extent = BigInt(Math.ceil(picture[side] / Number(reduction))) * reduction;
    const span = gridSpan(start, region[side], query[side], m, extent, first, end);
    const count = query[side] * m;
    const after = span.first + BigInt(span.count);
    return {
      reduced: { density: m, span, count: end - first },
      sampled: sampleAxis(start, region[side], count, reduction, sites[side], span.first, after),
    };
  };
  const rows = axis('height', region.y, density.rows, top, bottom);
  const columns = axis('width', region.x, density.columns, left, right);
  const rowRuns = runs(rows.sampled, sites.height, blocks);
  const columnRuns = runs(columns.sampled, sites.width, blocks);
  const held = sitesOf(rowRuns) * sitesOf(columnRuns);
  if (depth === 8 && reducesAtOnce(engine, rows.reduced.span.wanted * columns.reduced.span.wanted, held)) {
    const grid = { rows: rows.sampled, columns: columns.sampled, depth };
    const reduction = { grid, rows: rows.reduced, columns: columns.reduced, into };
    const work = rowRuns.flatMap((row) => columnRuns.map((column) => ({ row, column })));
    return reduceAtOnce(call, level, reduction, work);
  }
  const channels = channelsOf(picture);
  const reducer = new Reducer(channels, depth, rows.reduced, columns.reduced);
  for (const [first, end] of strips(rows.sampled, columns.sampled.index.length, sites.height, blocks)) {
    const grid = { level, rows: slice(rows.sampled, first, end), columns: columns.sampled, depth };
    const { data, width: columnCount, height: rowCount } = await renderGrid(call, grid);
    const step = Math.max(1, Math.floor(PIXELS_PER_TURN / columnCount));
    for (let row = 0; row < rowCount; row += step) {
      // The filter runs on the calling thread: let other work have its turn.
      if (row > 0) await new Promise((resolve) => setTimeout(resolve));
      signal?.throwIfAborted();
      const length = columnCount * channels;
      reducer.push(data.subarray(row * length, (row + step) * length));
    }
  }
  return reducer.finish();
}

/**
 * Whether the engine reduces a grid in one call; otherwise the calling thread filters. `pixels`: of the grid, including those outside the picture. `sites`: of
 * the windows of features that the grid needs.
 */
export function reducesAtOnce(engine: Engine, pixels: number, sites: number): boolean {
  const values = sites * engine.model.head.hidden;
  return engine.reduce !== undefined && pixels <= MAX_GRID_PIXELS && values <= MAX_HELD_VALUES;
}

const sitesOf = (found: readonly Run[]): number =>
  found.reduce((sum, { first, last }) => sum + last - first + 1, 0);

/** A reduction by the engine, plane by plane. The samples are those of `Reducer`. */
async function reduceAtOnce(
  call: RenderCall,
  level: number,
  { grid, rows, columns, into }: Omit<Reduction, 'gray' | 'parts'>,
  work: readonly { readonly row: Run; readonly column: Run }[],
): Promise<Raster> {
  const { picture, engine, signal } = call;
  const leaseKnown = knownPixels(call, { level, ...grid });
  const planeOf = async (plane: number, gray: boolean): Promise<Uint8Array> => {
    const leases: Lease<FeatureMap | Raster>[] = [];
    const parts: GridPart[] = [];
    try {
      await inParallel(engine.threads + 1, work, async ({ row, column }) => {
        const [height, width] = [row.to - row.from, column.to - column.from];
        const rect = { top: row.from, left: column.from, height, width };
        const known = leaseKnown?.(plane, row, column);
        if (known) {
          const lease = await known;
          leases.push(lease);
          const { channels, data, width: blockWidth } = lease.value;
          const { top, left } = withinBlock(grid, row, column);
          const pitch = blockWidth * channels;
          parts.push({ rect, pitch, samples: data.subarray(top * pitch + left * channels) as Uint8Array });
          return;
        }
        const lease = await picture.features(level, plane, windowOf(row, column), signal);
        leases.push(lease);
        parts.push({ rect, features: lease.value });
      });
      return await engine.reduce!(
        { grid, rows, columns, gray, parts, into: plane === 0 ? into : undefined },
        signal,
      );
    } finally {
      for (const lease of leases) lease.release();
    }
  };
  const size = { width: columns.count, height: rows.count };
  const color = await planeOf(0, picture.channels === 1);
  if (!picture.alpha) return { ...size, channels: picture.channels, data: color };
  const alpha = await planeOf(1, true);
  const channels = picture.channels === 1 ? 2 : 4;
  const data = new Uint8Array(channels * alpha.length);
  for (let i = 0, o = 0, from = 0; i < alpha.length; i++) {
    for (let c = 1; c < channels; c++) data[o++] = color[from++]!;
    data[o++] = alpha[i]!;
  }
  return { ...size, channels, data };
}

/** Pixels at the positions of two axes of a level: spec 4.3 to 4.6. */
async function renderGrid(
  call: RenderCall,
  { level, rows, columns, depth, into }: LevelGrid,
): Promise<Raster> {
  const { picture, engine, blocks, signal } = call;
  const sites = picture.sites(level);
  const channels = channelsOf(picture);
  const height = rows.index.length;
  const width = columns.index.length;
  const raster = (data: Raster['data']): Raster => ({ width, height, channels, data });
  let sampled: Raster | undefined;

  const work: { plane: number; rowRun: Run; columnRun: Run }[] = [];
  for (const rowRun of runs(rows, sites.height, blocks)) {
    for (const columnRun of runs(columns, sites.width, blocks)) {
      for (let plane = 0; plane < (picture.alpha ? 2 : 1); plane++) work.push({ plane, rowRun, columnRun });
    }
  }
  const leaseKnown = knownPixels(call, { level, rows, columns, depth });
  await inParallel(engine.threads + 1, work, async ({ plane, rowRun, columnRun }) => {
    const known = leaseKnown?.(plane, rowRun, columnRun);
    if (known) {
      const { value, release } = await known;
      // A tile that is a block: nothing is copied.
      if (value.width === width && value.height === height && value.channels === channels) sampled = value;
      else {
        sampled ??= raster(new Uint8Array(width * height * channels));
        const size = { height: rowRun.to - rowRun.from, width: columnRun.to - columnRun.from };
        const from = { ...withinBlock({ rows, columns }, rowRun, columnRun), ...size };
        copyPixels(value, from, sampled, rowRun.from, columnRun.from, plane === 1);
      }
      release();
      return;
    }
    const lease = await picture.features(level, plane, windowOf(rowRun, columnRun), signal);
    try {
      const columnAxis = slice(columns, columnRun.from, columnRun.to);
      const columnCount = columnRun.to - columnRun.from;
      const queries: Query[] = [];
      const starts: number[] = [];
      const step = Math.max(1, Math.floor(PIXELS_PER_QUERY / columnCount));
      for (let row = rowRun.from; row < rowRun.to; row += step) {
        starts.push(row);
        const rowAxis = slice(rows, row, Math.min(rowRun.to, row + step));
        const whole = rowAxis.index.length === height && columnCount === width && channels === 3;
        queries.push({ rows: rowAxis, columns: columnAxis, depth, into: whole ? into : undefined });
      }
      const results = await engine.pixels(lease.value, queries, signal);
      // The usual tile: all of it comes from one query, and nothing is copied.
      if (work.length === 1 && results.length === 1 && channels === 3) sampled = raster(results[0]!);
      else {
        const size = width * height * channels;
        sampled ??= raster(depth === 16 ? new Uint16Array(size) : new Uint8Array(size));
        for (const [i, samples] of results.entries())
          place(
            samples,
            sampled,
            starts[i]!,
            columnRun.from,
            columnCount,
            plane === 1,
            picture.channels === 1,
          );
      }
    } finally {
      lease.release();
    }
  });
  return sampled!; // outputs have pixels
}

/** A function that leases the kept pixels of the block of two runs; undefined for queries whose pixels do not lie on sites. */
function knownPixels({ picture, blocks, signal }: RenderCall, { level, rows, columns, depth }: LevelGrid) {
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
function withinBlock({ rows, columns }: Pick<Query, 'rows' | 'columns'>, row: Run, column: Run) {
  return { top: rows.index[row.from]! - row.first, left: columns.index[column.from]! - column.first };
}

/** Cuts the rows of a grid into strips: small ones, and, if possible, where a block of features ends, so that no block is needed twice. */
function strips(rows: Axis, columns: number, sites: number, blocks: BlockOptions): [number, number][] {
  const most = Math.max(1, Math.floor(MAX_STRIP_PIXELS / columns));
  const found: [number, number][] = [];
  for (const { from, to } of runs(rows, sites, blocks)) {
    const last = found.at(-1);
    if (last && (to - last[0]) * columns <= STRIP_PIXELS) last[1] = to;
    else for (let row = from; row < to; row += most) found.push([row, Math.min(to, row + most)]);
  }
  return found;
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

function windowOf(rows: Run, columns: Run): Rect {
  return {
    top: rows.first,
    left: columns.first,
    height: rows.last - rows.first + 1,
    width: columns.last - columns.first + 1,
  };
}

function slice(axis: Axis, from: number, to: number): Axis {
  return {
    index: axis.index.subarray(from, to),
    fraction: axis.fraction.subarray(from, to),
    cell: axis.cell,
  };
}
