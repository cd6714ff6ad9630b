import { RequestError } from '../errors.ts';

/**
 * One encode: its rate (bits per pixel, bytes: any unit, the same in both curves) and its quality (PSNR, or
 * MS-SSIM in dB).
 */
export interface RatePoint {
  readonly rate: number;
  readonly quality: number;
}

/**
 * Average difference in rate at equal quality, over the qualities that both curves reach: -0.1 when `test`
 * needs 10 % less than `anchor`. Bjontegaard, "Calculation of average PSNR differences between RD-curves",
 * VCEG-M33, 2001, with the logarithm of the rate interpolated by piecewise cubics (Fritsch and Butland, 1984:
 * "pchip"), which do not overshoot between unevenly spaced points as one polynomial does. Throws RequestError
 * for fewer than 4 points, equal or infinite qualities, or curves that do not overlap.
 */
export function bdRate(anchor: readonly RatePoint[], test: readonly RatePoint[]): number {
  const first = curveOf(anchor);
  const second = curveOf(test);
  const low = Math.max(first.x[0]!, second.x[0]!);
  const high = Math.min(first.x.at(-1)!, second.x.at(-1)!);
  if (!(low < high)) throw new RequestError('The curves have no qualities in common');
  const difference = (integrate(second, low, high) - integrate(first, low, high)) / (high - low);
  return Math.expm1(difference);
}

/** MS-SSIM on a scale that spreads the values near 1, as rate-distortion plots use: -10 log10(1 - value). */
export function msSsimDecibels(value: number): number {
  return -10 * Math.log10(1 - value);
}

/** A curve of y over x: points, and its slopes there. */
interface Curve {
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly slope: readonly number[];
}

/** The curve of ln(rate) over quality. */
function curveOf(points: readonly RatePoint[]): Curve {
  if (points.length < 4) throw new RequestError(`Expected at least 4 points but received ${points.length}`);
  const sorted = [...points].sort((a, b) => a.quality - b.quality);
  const x = sorted.map(({ quality }) => quality);
  const y = sorted.map(({ rate }) => Math.log(rate));
  if (![...x, ...y].every(Number.isFinite))
    throw new RequestError('Expected finite qualities and positive, finite rates');
  for (let i = 1; i < x.length; i++)
    if (x[i] === x[i - 1]) throw new RequestError(`Two points have the same quality, ${x[i]}`);
  return { x, y, slope: slopes(x, y) };
}

function slopes(x: readonly number[], y: readonly number[]): number[] {
  const n = x.length;
  const h = Array.from({ length: n - 1 }, (_, i) => x[i + 1]! - x[i]!);
  const d = h.map((width, i) => (y[i + 1]! - y[i]!) / width);
  const slope = new Array<number>(n).fill(0);
  for (let i = 1; i < n - 1; i++) {
    const [before, after] = [d[i - 1]!, d[i]!];
    if (before * after <= 0) continue; // a turning point stays one
    const w1 = 2 * h[i]! + h[i - 1]!;
    const w2 = h[i]! + 2 * h[i - 1]!;
    slope[i] = (w1 + w2) / (w1 / before + w2 / after);
  }
  slope[0] = endSlope(h[0]!, h[1]!, d[0]!, d[1]!);
  slope[n - 1] = endSlope(h[n - 2]!, h[n - 3]!, d[n - 2]!, d[n - 3]!);
  return slope;
}

/** Three-point formula, held to what keeps the curve monotonic. */
function endSlope(h0: number, h1: number, d0: number, d1: number): number {
  const slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
  if (Math.sign(slope) !== Math.sign(d0)) return 0;
  if (Math.sign(d0) !== Math.sign(d1) && Math.abs(slope) > 3 * Math.abs(d0)) return 3 * d0;
  return slope;
}

/** Integral of the piecewise cubic from low to high, which lie within its points. */
function integrate({ x, y, slope }: Curve, low: number, high: number): number {
  let sum = 0;
  for (let i = 0; i + 1 < x.length; i++) {
    const [x0, x1] = [x[i]!, x[i + 1]!];
    const [from, to] = [Math.max(low, x0), Math.min(high, x1)];
    if (from >= to) continue;
    const h = x1 - x0;
    const d = (y[i + 1]! - y[i]!) / h;
    // y0 + s0 t + c t^2 + e t^3 with t = x - x0
    const c = (3 * d - 2 * slope[i]! - slope[i + 1]!) / h;
    const e = (slope[i]! + slope[i + 1]! - 2 * d) / (h * h);
    const primitive = (t: number) => t * (y[i]! + t * (slope[i]! / 2 + t * (c / 3 + (t * e) / 4)));
    sum += primitive(to - x0) - primitive(from - x0);
  }
  return sum;
}
