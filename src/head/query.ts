import type { Axis } from '../engine/engine.ts';
import { compare, divide, type Exact, floorDivide, multiply, type Rational, toRational } from './rational.ts';

/** A rectangle in pixels of level 0, top-left origin; may be fractional and may reach beyond the picture. Spec 4.1. */
export interface Region {
  readonly x: Exact;
  readonly y: Exact;
  readonly width: Exact;
  readonly height: Exact;
}

/** Cells are held within the scales that the networks were trained for, 1/4 to 4, in Q12. Spec 4.2. */
const MIN_CELL = 1024n;
const MAX_CELL = 16384n;
const FRACTION_BITS = 14n;

/** How a query is sampled: spec 4.2. */
export interface SamplingPlan {
  readonly level: number;
  /** overviewFactor ^ level */
  readonly reduction: bigint;
  /** Samples rendered per output sample and averaged afterwards, powers of two; 1 unless the smallest level is reduced beyond 1/4. */
  readonly average: { readonly rows: number; readonly columns: number };
}

/** Which level serves a query, and whether its samples are averaged. Spec 4.2. */
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
  return {
    level,
    reduction,
    average: { rows: averaged(stepY, reduction), columns: averaged(stepX, reduction) },
  };
}

/** Smallest power of two m with step / reduction / m <= 4. */
function averaged(step: Rational, reduction: bigint): number {
  let m = 1;
  while (compare(step, toRational(4n * reduction * BigInt(m))) > 0) m *= 2;
  return m;
}

/**
 * Sample positions of `count` output pixels that cover start .. start+length (native pixels), on a level reduced by `reduction` whose
 * sites number `sites` along this axis. Spec 4.2. Indices are brought to -1 .. sites-1, which changes nothing: spec 4.3 clamps them.
 * `from`, `to`: only output pixels from .. to-1.
 */
export function sampleAxis(
  start: Exact,
  length: Exact,
  count: number,
  reduction: bigint,
  sites: number,
  from = 0,
  to = count,
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
  const index = new Int32Array(to - from);
  const fraction = new Int16Array(to - from);
  const last = BigInt(sites - 1);
  for (let j = 0; j < index.length; j++) {
    const position = floorDivide(numerator << FRACTION_BITS, denominator);
    const site = position >> FRACTION_BITS;
    index[j] = Number(site < -1n ? -1n : site > last ? last : site);
    fraction[j] = Number(position - (site << FRACTION_BITS));
    numerator += increment;
  }
  const step = multiply(b, { numerator: 1n, denominator: n * reduction });
  const cell = floorDivide(2n * (step.numerator << 12n) + step.denominator, 2n * step.denominator);
  return { index, fraction, cell: Number(cell < MIN_CELL ? MIN_CELL : cell > MAX_CELL ? MAX_CELL : cell) };
}
