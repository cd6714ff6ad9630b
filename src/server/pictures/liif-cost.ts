import type { Engine, Extent, Rect } from '../../engine/engine.ts';
import { gridCount, isReduction, type SamplingPlan } from '../../head/query.ts';
import { type Exact, toNumber, toRational } from '../../head/rational.ts';
import { MAX_STRIP_PIXELS } from '../../pixels/blocks.ts';
import { reducesAtOnce } from '../../pixels/reduce-at-once.ts';
import type { RenderQuery } from '../../pixels/render.ts';
import type { Estimate } from './picture.ts';

/** Rows computed before other requests get their turn. */
export const BAND_ROWS = 512;
/**
 * A reduction is computed in squares of so many pixels, which the engine reduces at once: filtering on this
 * thread makes all other requests wait.
 */
export const REDUCED_PIECE = 256;

/** Milliseconds of one core. `IMAGE_WORK`: the way to an image and its encoder. */
const IMAGE_WORK = 1.5;
const COLD_BLOCK_WORK = 100;
/** To compute a sample from features. */
const SAMPLE_WORK = 1 / 30_000;
/** To filter a sample where the engine does not. */
const FILTER_WORK = 1 / 42_000;
/** To copy or reduce a sample that is kept. */
const KEPT_WORK = 1 / 300_000;
/**
 * Blocks of a query up to which each is looked up in the caches: those of a tile of 1024 pixels at half of a
 * level's scale, color and alpha.
 */
const MAX_BLOCKS_LOOKED_UP = 128;
/** Output pixels beyond its own that a reduction's filter reaches. */
const FILTER_MARGIN = 2;

/** What the cost of a query depends on besides. */
export interface DecodingState {
  readonly engine: Engine;
  readonly plan: SamplingPlan;
  /** Of the plan's level. */
  readonly sites: Extent;
  /** 2 with alpha, otherwise 1. */
  readonly planes: 1 | 2;
  /** Sites on the side of a block of features. */
  readonly blockSide: number;
  /**
   * Whether features, or pixels on its sites, of a block of the plan's level are kept, or being made for
   * another request.
   */
  hasFeatures(plane: number, corner: Pick<Rect, 'top' | 'left'>): boolean;
  hasPixels(plane: number, corner: Pick<Rect, 'top' | 'left'>): boolean;
}

/** Rows or columns of a query. */
interface Axis {
  readonly start: Exact;
  readonly length: Exact;
  /** Output pixels. */
  readonly count: number;
  /** Sites of the level. */
  readonly side: number;
  /** Density of the grid. */
  readonly m: number;
}

/** Estimates memory and work of a query of a .liif. */
export function decodingCost(query: RenderQuery, state: DecodingState): Estimate {
  const { plan, planes, sites } = state;
  const { x, y, width, height } = query.region;
  const down: Axis = {
    start: y,
    length: height,
    count: query.height,
    side: sites.height,
    m: plan.density.rows,
  };
  const across: Axis = {
    start: x,
    length: width,
    count: query.width,
    side: sites.width,
    m: plan.density.columns,
  };
  const samples = gridCount(down.m, down.count) * gridCount(across.m, across.count) * planes;
  const { all, cold, kept } = blockCounts(down, across, state);
  const piece = pieceMemory(down, across, state);
  const sampled = samples * (SAMPLE_WORK + (KEPT_WORK - SAMPLE_WORK) * (kept / all));
  const filtered = piece.filtered ? samples * FILTER_WORK : 0;
  return {
    bytes: query.width * query.height * 8 + piece.bytes,
    work: IMAGE_WORK + cold * COLD_BLOCK_WORK + sampled + filtered,
  };
}

/**
 * Blocks that a query reads; those of which neither features nor pixels are kept; and those whose kept pixels
 * it takes. Blocks that only a reduction's filter reaches count for the neighboring tiles, which are usually
 * asked for as well.
 */
function blockCounts(down: Axis, across: Axis, state: DecodingState) {
  const { plan, planes, blockSide: side } = state;
  const rows = blocksOf(down, state);
  const columns = blocksOf(across, state);
  const all = (rows.to - rows.from + 1) * (columns.to - columns.from + 1) * planes;
  // Looking up the blocks of large images would take long, and most are cold.
  if (all > MAX_BLOCKS_LOOKED_UP) return { all, cold: all, kept: 0 };
  const takesPixels = liesOnSites(across, plan) && liesOnSites(down, plan);
  let cold = 0;
  let kept = 0;
  for (let row = rows.from; row <= rows.to; row++)
    for (let column = columns.from; column <= columns.to; column++)
      for (let plane = 0; plane < planes; plane++) {
        const corner = { top: row * side, left: column * side };
        if (takesPixels && state.hasPixels(plane, corner)) kept++;
        else if (!state.hasFeatures(plane, corner)) cold++;
      }
  return { all, cold, kept };
}

/** Bytes that one piece of a query takes while it is computed, and whether this thread filters it. */
function pieceMemory(down: Axis, across: Axis, state: DecodingState) {
  const { plan, engine, blockSide } = state;
  const reduced = isReduction(plan);
  const piece = reduced ? REDUCED_PIECE : BAND_ROWS;
  const height = Math.min(down.count, piece);
  const width = reduced ? Math.min(across.count, piece) : across.count;
  if (!reduced) return { bytes: height * width * 4, filtered: false };
  const blocksOfPiece = (axis: Axis) => {
    const { from, to } = blocksOf(axis, state, FILTER_MARGIN);
    return Math.min(to - from + 1, Math.ceil(((to - from + 1) * piece) / axis.count) + 1);
  };
  const held = blocksOfPiece(down) * blocksOfPiece(across) * blockSide ** 2;
  const grid = gridCount(down.m, height + 2 * FILTER_MARGIN) * gridCount(across.m, width + 2 * FILTER_MARGIN);
  // An engine that reduces holds the features of a whole piece.
  if (reducesAtOnce(engine, grid, held))
    return { bytes: held * engine.model.head.hidden * 2, filtered: false };
  // Otherwise there is a strip of the grid, and up to 16 bytes for each sample.
  return { bytes: Math.min(grid, MAX_STRIP_PIXELS) * 4 + height * width * 68, filtered: true };
}

/**
 * First and last block that an axis reads, with so many output pixels more on each side. Doubles place
 * samples as `sampleAxis` does, exactly enough for a guess.
 */
function blocksOf({ start, length, count, side, m }: Axis, { plan, blockSide }: DecodingState, margin = 0) {
  const step = toNumber(toRational(length)) / (count * m);
  const first = toNumber(toRational(start));
  const beyond = m > 1 ? margin * m : 0;
  const blockOf = (position: number) => {
    const site = Math.floor(position / Number(plan.reduction) - 0.5);
    return Math.floor(Math.min(side - 1, Math.max(0, site)) / blockSide);
  };
  return {
    from: blockOf(first + step * (0.5 - beyond)),
    to: blockOf(first + step * (count * m + beyond - 0.5)),
  };
}

/** Whether all samples lie on sites, so that kept pixels serve. */
function liesOnSites({ start, length, count, m }: Axis, { reduction }: SamplingPlan): boolean {
  return (
    toNumber(toRational(length)) === count * m * Number(reduction) &&
    Number.isInteger(toNumber(toRational(start)) / Number(reduction))
  );
}
