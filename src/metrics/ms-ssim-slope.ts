import { C1, C2, WEIGHTS } from './ms-ssim.ts';

/** One channel of a picture, 0..255: (height, width). */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/** Larger than the constant of the metric, which pulls flat windows so hard that steps overshoot. */
const SOFTER_C2 = 12 * C2;
/** Side of a block. A window is 2 x 2 blocks, and one begins at every block. */
const BLOCK = 4;
const WINDOW = 2 * BLOCK;
const PIXELS = WINDOW * WINDOW;
/** Lower bound of the mean structure of a scale: below it the pull grows no further. */
const LEAST_MEAN = 0.01;

/**
 * The derivative of the logarithm of multi-scale structural similarity by the samples of `shown`: (height,
 * width). The metric has Gaussian windows around every pixel; this has windows of 8 x 8 pixels of equal
 * weight, one every 4 pixels, as video encoders do, so that the slope of a window is linear in both samples.
 * Computed in doubles by sums, products and quotients alone. Undefined for planes that are smaller than a
 * window.
 */
export function msSsimSlope(shown: Plane, wanted: Plane): Float64Array | undefined {
  const scales: (readonly [Plane, Plane])[] = [];
  for (
    let pair = [shown, wanted] as const;
    scales.length < WEIGHTS.length && Math.min(pair[0].width, pair[0].height) >= WINDOW;
    pair = [halved(pair[0]), halved(pair[1])]
  )
    scales.push(pair);
  const weights = WEIGHTS.slice(0, scales.length);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let coarser: { readonly width: number; readonly slope: Float64Array } | undefined;
  for (let scale = scales.length - 1; scale >= 0; scale--) {
    const [a, b] = scales[scale]!;
    const slope = scaleSlope(a, b, weights[scale]! / total, scale === scales.length - 1);
    if (coarser) addExpanded(slope, a.width, coarser.slope, coarser.width);
    coarser = { width: a.width, slope };
  }
  return coarser?.slope;
}

/** Means of 2x2, without an odd last line. */
function halved({ width, height, data }: Plane): Plane {
  const columns = width >> 1;
  const rows = height >> 1;
  const half = new Float64Array(columns * rows);
  for (let y = 0, o = 0; y < rows; y++) {
    for (let x = 0, i = 2 * y * width; x < columns; x++, i += 2)
      half[o++] = (data[i]! + data[i + 1]! + data[i + width]! + data[i + width + 1]!) / 4;
  }
  return { width: columns, height: rows, data: half };
}

/** Adds the slope of a coarser scale: each of its samples is the mean of four. */
function addExpanded(slope: Float64Array, width: number, coarser: Float64Array, columns: number): void {
  for (let i = 0; i < coarser.length; i += columns) {
    const top = 2 * width * (i / columns);
    for (let x = 0; x < columns; x++) {
      const quarter = coarser[i + x]! / 4;
      const at = top + 2 * x;
      slope[at] = slope[at]! + quarter;
      slope[at + 1] = slope[at + 1]! + quarter;
      slope[at + width] = slope[at + width]! + quarter;
      slope[at + width + 1] = slope[at + width + 1]! + quarter;
    }
  }
}

/**
 * weight * ln(mean over windows of the contrast-structure term), and of SSIM at the last scale, by the
 * samples of `a`.
 */
function scaleSlope(a: Plane, b: Plane, weight: number, last: boolean): Float64Array {
  const { width } = a;
  const columns = Math.floor(width / BLOCK);
  const rows = Math.floor(a.height / BLOCK);
  const [sumA, sumB, squares, products] = blockSums(a, b, columns, rows);
  // Slope of all windows over a block, by its samples: constant + byB * b - byA * a.
  const constant = new Float64Array(columns * rows);
  const byA = new Float64Array(columns * rows);
  const byB = new Float64Array(columns * rows);
  let sum = 0;
  for (let y = 0; y + 1 < rows; y++) {
    for (let x = 0; x + 1 < columns; x++) {
      const at = y * columns + x;
      const over = (sums: Float64Array) =>
        (sums[at]! + sums[at + 1]! + sums[at + columns]! + sums[at + columns + 1]!) / PIXELS;
      const meanA = over(sumA);
      const meanB = over(sumB);
      const variances = over(squares) - meanA * meanA - meanB * meanB + SOFTER_C2;
      const structure = (2 * (over(products) - meanA * meanB) + SOFTER_C2) / variances;
      const brightness = meanA * meanA + meanB * meanB + C1;
      const luminance = last ? (2 * meanA * meanB + C1) / brightness : 1;
      sum += structure * luminance;
      const perB = (2 * luminance) / (PIXELS * variances);
      const perA = perB * structure;
      const byMean = last ? (2 * structure * (meanB - luminance * meanA)) / (PIXELS * brightness) : 0;
      const level = byMean + perA * meanA - perB * meanB;
      for (const block of [at, at + 1, at + columns, at + columns + 1]) {
        constant[block] = constant[block]! + level;
        byA[block] = byA[block]! + perA;
        byB[block] = byB[block]! + perB;
      }
    }
  }
  const windows = (columns - 1) * (rows - 1);
  const factor = weight / (windows * Math.max(LEAST_MEAN, sum / windows));
  const slope = new Float64Array(a.data.length);
  for (let y = 0; y < rows * BLOCK; y++) {
    const line = Math.floor(y / BLOCK) * columns;
    for (let block = line, i = y * width; block < line + columns; block++) {
      const level = factor * constant[block]!;
      const perB = factor * byB[block]!;
      const perA = factor * byA[block]!;
      for (const end = i + BLOCK; i < end; i++) slope[i] = level + perB * b.data[i]! - perA * a.data[i]!;
    }
  }
  return slope;
}

type Sums = [Float64Array, Float64Array, Float64Array, Float64Array];

/** Sums over each block of a, b, a*a + b*b and a*b. */
function blockSums(a: Plane, b: Plane, columns: number, rows: number): Sums {
  const sums = Array.from({ length: 4 }, () => new Float64Array(columns * rows)) as Sums;
  const [sumA, sumB, squares, products] = sums;
  for (let y = 0; y < rows * BLOCK; y++) {
    const line = Math.floor(y / BLOCK) * columns;
    for (let block = line, i = y * a.width; block < line + columns; block++) {
      let [inA, inB, square, product] = [0, 0, 0, 0];
      for (const end = i + BLOCK; i < end; i++) {
        const va = a.data[i]!;
        const vb = b.data[i]!;
        inA += va;
        inB += vb;
        square += va * va + vb * vb;
        product += va * vb;
      }
      sumA[block] = sumA[block]! + inA;
      sumB[block] = sumB[block]! + inB;
      squares[block] = squares[block]! + square;
      products[block] = products[block]! + product;
    }
  }
  return sums;
}
