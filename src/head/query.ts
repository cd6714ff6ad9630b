import type { Axis } from '../engine/engine.ts';
import { RequestError } from '../errors.ts';
import { round, sat16 } from '../network/fixed-point.ts';
import type { Head } from '../network/model.ts';
import {
  add,
  compare,
  divide,
  type Exact,
  floorDivide,
  multiply,
  type Rational,
  toRational,
} from './rational.ts';

/**
 * A rectangle in pixels of the picture; it may have fractions, and reach beyond the picture where a call
 * allows that. Spec 4.1.
 */
export interface Region {
  /** Left edge: pixels from the left edge of the picture. */
  readonly x: Exact;
  /** Upper edge: pixels from the upper edge of the picture. */
  readonly y: Exact;
  /** Above 0. */
  readonly width: Exact;
  /** Above 0. */
  readonly height: Exact;
}

/**
 * Bounds of a cell in Q12: 1/4, and 4, where sums of the head still fit (3.8). On the grids of spec 4.2 cells
 * are at most 1.
 */
const MIN_CELL = 1024n;
const MAX_CELL = 16384n;
const FRACTION_BITS = 14n;

/** Cell of native scale: 1 in Q12. */
export const NATIVE_CELL = 4096;

/** Most grid pixels along an axis, margins included: an index has to fit into 31 bits. */
const MAX_GRID = 2 ** 31 - 1;
/**
 * Largest mX * mY. A block (spec 4.7) has a sixteenth as many grid pixels, whose samples of 16 bits are
 * summed in a double.
 */
const MAX_DENSITY = 2 ** 40;

/** How a query is sampled: spec 4.2. */
export interface SamplingPlan {
  readonly level: number;
  /** overviewFactor ^ level */
  readonly reduction: bigint;
  /**
   * mY and mX, powers of two: grid pixels for each output pixel along an axis; both 1 unless the level is
   * reduced.
   */
  readonly density: { readonly rows: number; readonly columns: number };
}

/**
 * Which level serves a query, and how densely it is sampled. Spec 4.2. Throws RequestError for a reduction
 * beyond the limits above.
 */
export function planSampling(
  region: Region,
  width: number,
  height: number,
  levels: number,
  overviewFactor: number,
): SamplingPlan {
  const stepX = divide(toRational(region.width), toRational(width));
  const stepY = divide(toRational(region.height), toRational(height));
  const smaller = compare(stepX, stepY) < 0 ? stepX : stepY;
  let level = 0;
  let reduction = 1n;
  while (level + 1 < levels) {
    const next = reduction * BigInt(overviewFactor);
    if (compare(toRational(next), smaller) > 0) break;
    reduction = next;
    level++;
  }
  const rows = density(stepY, reduction, height, 1);
  return { level, reduction, density: { rows, columns: density(stepX, reduction, width, rows) } };
}

/** Whether the grid is denser than the output, and has to be filtered. */
export function isReduction({ density }: SamplingPlan): boolean {
  return density.rows > 1 || density.columns > 1;
}

/** The smallest m of 1, 2, 4, ... with step / reduction / m <= 1. `other`: m of the other axis. */
function density(step: Rational, reduction: bigint, count: number, other: number): number {
  let m = 1;
  while (compare(step, toRational(reduction * BigInt(m))) > 0) {
    m *= 2;
    if (gridCount(m, count) > MAX_GRID || m * other > MAX_DENSITY)
      throw new RequestError(`A reduction to less than 1/${m / 2} is not computed`);
  }
  return m;
}

/** Grid pixels that `count` output pixels read at density m. Spec 4.7. */
export function gridCount(m: number, count: number): number {
  return m === 1 ? count : m * (count + 3);
}

/** b of spec 4.7: grid pixels on the side of a block. */
export function blockOf(density: number): number {
  return Math.max(1, density / 4);
}

/** k of spec 4.7: 1, 2 or 4 blocks for each output pixel. */
export function tapsOf(density: number): number {
  return Math.min(4, density);
}

/**
 * The grid pixels of an axis that a reduction reads. The nearest one inside the picture stands in for those
 * outside. Spec 4.7.
 */
export interface GridSpan {
  /** The first one inside the picture, counted from the start of the region. */
  readonly first: bigint;
  /** How many lie inside the picture. */
  readonly count: number;
  /** How many are read in all. Number i is the grid pixel first + clamp(i + shift, 0, count - 1). */
  readonly wanted: number;
  readonly shift: number;
}

/**
 * The grid pixels that output pixels from .. to-1 of `count` read. `extent`: native pixels that the level
 * covers, without padding. Spec 4.7.
 */
export function gridSpan(
  start: Exact,
  length: Exact,
  count: number,
  m: number,
  extent: bigint,
  from: number,
  to: number,
): GridSpan {
  const origin = toRational(start);
  const d = divide(toRational(length), toRational(BigInt(count) * BigInt(m)));
  // The smallest i with origin + (i + 1/2) * d >= edge.
  const firstFrom = (edge: Rational): bigint => {
    const distance = divide(add(edge, { ...origin, numerator: -origin.numerator }), d);
    return -floorDivide(distance.denominator - 2n * distance.numerator, 2n * distance.denominator);
  };
  const first = firstFrom(toRational(0n));
  const last = firstFrom(toRational(extent)) - 1n;
  const inside = (i: bigint): bigint => (i < first ? first : i > last ? last : i);
  const wanted = gridCount(m, to - from);
  const begin = BigInt(m) * BigInt(from) - (m === 1 ? 0n : (3n * BigInt(m)) / 2n);
  const held = inside(begin);
  const shift = begin - held;
  const far = BigInt(MAX_GRID);
  return {
    first: held,
    count: Number(inside(begin + BigInt(wanted) - 1n) - held) + 1,
    wanted,
    shift: Number(shift < -far ? -far : shift > far ? far : shift),
  };
}

/**
 * Sample positions (spec 4.2) of `count` output pixels that cover start .. start+length, in native pixels.
 * The level is reduced by `reduction` and has `sites` sites along this axis. Indices are clamped to -1 ..
 * sites-1, which changes nothing, since spec 4.3 clamps them further. `from`, `to`: only the pixels from ..
 * to-1, which may lie outside 0 .. count-1.
 */
export function sampleAxis(
  start: Exact,
  length: Exact,
  count: number,
  reduction: bigint,
  sites: number,
  from: number | bigint = 0,
  to: number | bigint = count,
): Axis {
  const a = toRational(start);
  const b = toRational(length);
  // u = (start + (j + 1/2) * length / count) / reduction - 1/2, over one denominator
  const n = BigInt(count);
  const denominator = 2n * n * reduction * a.denominator * b.denominator;
  const increment = 2n * b.numerator * a.denominator;
  let numerator =
    2n * n * a.numerator * b.denominator +
    (2n * BigInt(from) + 1n) * b.numerator * a.denominator -
    n * reduction * a.denominator * b.denominator;
  const index = new Int32Array(Number(BigInt(to) - BigInt(from)));
  const fraction = new Int16Array(index.length);
  const last = sites - 1;
  const end = numerator + increment * BigInt(index.length);
  const most = BigInt(2 ** 51) >> FRACTION_BITS;
  if (-most < numerator && end < most && denominator < most) {
    // The usual grid, in doubles, which are ten times faster, and exact: a quotient that is not whole differs
    // from the nearest whole number by at least 1/below, which is more than a division rounds where the
    // dividend is below 2^51.
    const scale = 2 ** Number(FRACTION_BITS);
    const below = Number(denominator);
    const further = Number(increment);
    // No function calls with doubles: V8 would allocate an object for each, 22 KB of garbage a tile.
    for (let j = 0, above = Number(numerator); j < index.length; j++, above += further) {
      const site = Math.floor(above / below);
      index[j] = Math.max(-1, Math.min(last, site));
      fraction[j] = Math.floor(((above - site * below) * scale) / below);
    }
  } else
    for (let j = 0; j < index.length; j++) {
      const position = floorDivide(numerator << FRACTION_BITS, denominator);
      const site = position >> FRACTION_BITS;
      index[j] = Math.max(-1, Math.min(last, Number(site)));
      fraction[j] = Number(position - (site << FRACTION_BITS));
      numerator += increment;
    }
  const step = multiply(b, { numerator: 1n, denominator: n * reduction });
  const cell = floorDivide(2n * (step.numerator << 12n) + step.denominator, 2n * step.denominator);
  return { index, fraction, cell: Number(cell < MIN_CELL ? MIN_CELL : cell > MAX_CELL ? MAX_CELL : cell) };
}

/** The axis of native scale, whose pixels lie on the sites first .. first+count-1. */
export function nativeAxis(first: number, count: number): Axis {
  return {
    index: Int32Array.from({ length: count }, (_, i) => first + i),
    fraction: new Int16Array(count),
    cell: NATIVE_CELL,
  };
}

/** c of spec 4.4, (hidden): what the size of a pixel, in sites, adds to the hidden vector. */
export function cellTerm(head: Head, cellRow: number, cellColumn: number): Int16Array {
  const term = new Int16Array(head.hidden);
  for (let k = 0; k < head.hidden; k++) {
    const sum = head.cellRowWeight[k]! * cellRow + head.cellColumnWeight[k]! * cellColumn;
    term[k] = sat16(round(sum, head.cellShift));
  }
  return term;
}
