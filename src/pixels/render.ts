import type { Engine, Extent, FeatureMap, Query, Rect } from '../engine/engine.ts';
import type { Lease } from '../features/leased-cache.ts';
import {
  gridSpan,
  isReduction,
  planSampling,
  type Region,
  type SamplingPlan,
  sampleAxis,
} from '../head/query.ts';
import type { Exact } from '../head/rational.ts';
import { channelsOf, type Raster } from '../image/raster.ts';
import { whole } from '../network/window.ts';
import { inParallel } from '../parallel.ts';
import { type BlockOptions, type Run, runs, slice, strips, windowOf } from './blocks.ts';
import { Reducer } from './reduce.ts';
import { reduceAtOnce, reducesAtOnce } from './reduce-at-once.ts';
import { copyPixels, knownPixels, planePixels, withinBlock } from './site-pixels.ts';

/**
 * A region, an output size and a depth: a request without anything left open, from `resolveRequest`. Spec
 * 4.1.
 */
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
   * Kept pixels of 8 bits on the sites of a block, with the channels of one plane; read-only. `wanted`: how
   * many of them the caller needs. Undefined where computing from features is cheaper. Absent where no pixels
   * are kept.
   */
  sitePixels?(
    level: number,
    plane: number,
    block: Rect,
    wanted: number,
    signal?: AbortSignal,
  ): Promise<Lease<Raster>> | undefined;
}

/** What all parts of one call need. */
export interface RenderCall {
  readonly picture: RenderPicture;
  readonly engine: Engine;
  readonly blocks: BlockOptions;
  readonly signal: AbortSignal | undefined;
}

/** A grid of a level. */
export type LevelGrid = Query & { readonly level: number };

/** Output pixels of one query to the engine: few enough that its threads share a block. */
const PIXELS_PER_QUERY = 1 << 16;
/** Pixels that are filtered in one turn of the event loop: about 10 ms. */
const PIXELS_PER_TURN = 1 << 19;

/**
 * A rectangle of the output of a query. However an output is cut into pieces, its samples are the same.
 * Memory: the piece, for a reduction also a strip of its grid, and two windows of features for each thread of
 * the engine. `into`: memory of the piece's length that may receive the samples; it may be written to even
 * after an aborted call.
 */
export async function renderPiece(
  call: RenderCall,
  query: RenderQuery,
  piece: Rect,
  into?: Uint8Array,
): Promise<Raster> {
  const { picture } = call;
  const { region, depth, width, height } = query;
  const plan = planSampling(region, width, height, picture.levels, picture.overviewFactor);
  if (isReduction(plan)) return renderReduced(call, query, piece, plan, into);
  const { top, left } = piece;
  const { level, reduction } = plan;
  const sites = picture.sites(level);
  const bottom = top + piece.height;
  const right = left + piece.width;
  const rows = sampleAxis(region.y, region.height, height, reduction, sites.height, top, bottom);
  const columns = sampleAxis(region.x, region.width, width, reduction, sites.width, left, right);
  return renderGrid(call, { level, rows, columns, depth, into });
}

/** A reduction: by the engine where it can, else by a filter on this thread, strip by strip. Spec 4.7. */
async function renderReduced(
  call: RenderCall,
  query: RenderQuery,
  piece: Rect,
  { level, reduction, density }: SamplingPlan,
  into: Uint8Array | undefined,
): Promise<Raster> {
  const { picture, engine, blocks } = call;
  const { region, depth } = query;
  const sites = picture.sites(level);
  const axis = (side: 'height' | 'width', start: Exact, m: number, first: number) => {
    const extent = BigInt(Math.ceil(picture[side] / Number(reduction))) * reduction;
    const span = gridSpan(start, region[side], query[side], m, extent, first, first + piece[side]);
    const after = span.first + BigInt(span.count);
    const sampled = sampleAxis(
      start,
      region[side],
      query[side] * m,
      reduction,
      sites[side],
      span.first,
      after,
    );
    return { reduced: { density: m, span, count: piece[side] }, sampled };
  };
  const rows = axis('height', region.y, density.rows, piece.top);
  const columns = axis('width', region.x, density.columns, piece.left);
  const rowRuns = runs(rows.sampled, sites.height, blocks);
  const columnRuns = runs(columns.sampled, sites.width, blocks);
  const held = sitesOf(rowRuns) * sitesOf(columnRuns);
  if (depth === 8 && reducesAtOnce(engine, rows.reduced.span.wanted * columns.reduced.span.wanted, held)) {
    const grid = { rows: rows.sampled, columns: columns.sampled, depth };
    const reduction = { grid, rows: rows.reduced, columns: columns.reduced, into };
    const work = rowRuns.flatMap((row) => columnRuns.map((column) => ({ row, column })));
    return reduceAtOnce(call, level, reduction, work);
  }
  const reducer = new Reducer(channelsOf(picture), depth, rows.reduced, columns.reduced);
  for (const [first, end] of strips(rows.sampled, columns.sampled.index.length, sites.height, blocks)) {
    const grid = { level, rows: slice(rows.sampled, first, end), columns: columns.sampled, depth };
    await pushInTurns(reducer, await renderGrid(call, grid), call.signal);
  }
  return reducer.finish();
}

const sitesOf = (found: readonly Run[]): number =>
  found.reduce((sum, { first, last }) => sum + last - first + 1, 0);

/** Filters a strip. The filter runs on the calling thread: other work has its turn again and again. */
async function pushInTurns(
  reducer: Reducer,
  { data, width, height, channels }: Raster,
  signal: AbortSignal | undefined,
): Promise<void> {
  const step = Math.max(1, Math.floor(PIXELS_PER_TURN / width));
  const length = width * channels;
  for (let row = 0; row < height; row += step) {
    if (row > 0) await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    reducer.push(data.subarray(row * length, (row + step) * length));
  }
}

/** Pixels at the positions of two axes of a level: spec 4.3 to 4.6. */
async function renderGrid(call: RenderCall, grid: LevelGrid): Promise<Raster> {
  const { picture, engine, blocks, signal } = call;
  const { level, rows, columns } = grid;
  const sites = picture.sites(level);
  const channels = channelsOf(picture);
  const height = rows.index.length;
  const width = columns.index.length;
  let raster: Raster | undefined;
  /**
   * Copies the pixels of `rect` of `from` to a place in the output. The usual tile is one block or one query:
   * nothing is copied.
   */
  const put = (from: Raster, rect: Rect, top: number, left: number, plane: number) => {
    if (from.width === width && from.height === height && from.channels === channels) raster = from;
    else {
      const size = width * height * channels;
      const data = () => (grid.depth === 16 ? new Uint16Array(size) : new Uint8Array(size));
      raster ??= { width, height, channels, data: data() };
      copyPixels(from, rect, raster, top, left, plane === 1);
    }
  };
  const work: { plane: number; row: Run; column: Run }[] = [];
  for (const row of runs(rows, sites.height, blocks)) {
    for (const column of runs(columns, sites.width, blocks)) {
      for (let plane = 0; plane < (picture.alpha ? 2 : 1); plane++) work.push({ plane, row, column });
    }
  }
  const leaseKnown = knownPixels(call, grid);
  await inParallel(engine.threads + 1, work, async ({ plane, row, column }) => {
    const known = leaseKnown?.(plane, row, column);
    if (known) {
      const { value, release } = await known;
      const rect = {
        ...withinBlock(grid, row, column),
        height: row.to - row.from,
        width: column.to - column.from,
      };
      put(value, rect, row.from, column.from, plane);
      release();
      return;
    }
    const lease = await picture.features(level, plane, windowOf(row, column), signal);
    try {
      let top = row.from;
      for (const samples of await engine.pixels(lease.value, queriesOf(grid, row, column), signal)) {
        const piece = planePixels(samples, column.to - column.from, plane === 1 || picture.channels === 1);
        put(piece, whole(piece), top, column.from, plane);
        top += piece.height;
      }
    } finally {
      lease.release();
    }
  });
  return raster!; // outputs have pixels
}

/**
 * The pixels of two runs of a grid as queries to the engine. One that is the whole grid may be computed into
 * the caller's memory.
 */
function queriesOf({ rows, columns, depth, into }: LevelGrid, row: Run, column: Run): Query[] {
  const columnAxis = slice(columns, column.from, column.to);
  const width = columnAxis.index.length;
  const step = Math.max(1, Math.floor(PIXELS_PER_QUERY / width));
  const queries: Query[] = [];
  for (let from = row.from; from < row.to; from += step) {
    const rowAxis = slice(rows, from, Math.min(row.to, from + step));
    const all = rowAxis.index.length === rows.index.length && width === columns.index.length;
    queries.push({ rows: rowAxis, columns: columnAxis, depth, into: all ? into : undefined });
  }
  return queries;
}
