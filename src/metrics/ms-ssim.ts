import { RequestError } from '../errors.ts';
import { isOpaque } from '../image/alpha/opaque-alpha.ts';
import { depthOf, hasAlpha, type Raster } from '../image/raster.ts';
import { expectComparable } from './comparable.ts';

/**
 * Exponents of scales 1 (full size) to 5: Wang, Simoncelli and Bovik, "Multiscale structural similarity",
 * Asilomar 2003.
 */
export const WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333] as const;
const WINDOW = 11;
/** Shortest side, in pixels, of a picture that has an MS-SSIM. */
export const SMALLEST_SIDE = WINDOW;
const SIGMA = 1.5;
/** Constants of SSIM for luminance and contrast, in squares of 8-bit levels. */
export const C1 = (0.01 * 255) ** 2;
export const C2 = (0.03 * 255) ** 2;

/** How alike two pictures are in structure. */
export interface MsSsim {
  /** 0 to 1; 1 for equal pictures. */
  readonly value: number;
  /**
   * Scales that were compared: 5, or fewer where a side is shorter than 161 pixels; the exponents are then
   * scaled to the same sum.
   */
  readonly scales: number;
}

/**
 * Multi-scale structural similarity of two rasters, averaged over their channels.
 *
 * - Colors count as they show: multiplied by alpha. Alpha counts as a channel of its own unless both rasters
 *   are opaque; a raster without alpha is opaque.
 * - Windows lie inside the picture, and scales are means of 2x2 with a line of zeros before an odd side, as
 *   in pytorch-msssim, by which learned codecs are compared. Samples of 16 bits are divided by 257.
 *
 * Synchronous, some hundred milliseconds for a megapixel: compare large pictures in a worker. Throws
 * RequestError where sizes or color spaces differ, or a side is shorter than 11 pixels.
 */
export function msSsim(a: Raster, b: Raster): MsSsim {
  expectComparable(a, b);
  let scales = 0;
  for (
    let side = Math.min(a.width, a.height);
    side >= WINDOW && scales < WEIGHTS.length;
    side = (side + 1) >> 1
  )
    scales++;
  if (scales === 0)
    throw new RequestError(
      `MS-SSIM needs ${WINDOW} pixels on a side, more than ${a.width} x ${a.height} have`,
    );
  const weights = WEIGHTS.slice(0, scales);
  const strength = sumOf(WEIGHTS) / sumOf(weights);
  const channels: (number | 'alpha')[] = Math.max(a.channels, b.channels) >= 3 ? [0, 1, 2] : [0];
  if (!isOpaque(a) || !isOpaque(b)) channels.push('alpha');
  let sum = 0;
  for (const channel of channels) {
    let planeA = planeOf(a, channel);
    let planeB = planeOf(b, channel);
    let product = 1;
    for (let scale = 0; scale < scales; scale++) {
      const { structure, similarity } = compare(planeA, planeB);
      const last = scale === scales - 1;
      product *= Math.max(0, last ? similarity : structure) ** (weights[scale]! * strength);
      if (!last) [planeA, planeB] = [halved(planeA), halved(planeB)];
    }
    sum += product;
  }
  return { value: sum / channels.length, scales };
}

function sumOf(weights: readonly number[]): number {
  return weights.reduce((sum, weight) => sum + weight, 0);
}

/** One channel, 0..255, read by rows. */
interface Plane {
  readonly width: number;
  readonly height: number;
  /** Writes row y to `into`. */
  readRow(y: number, into: Float64Array): void;
}

/**
 * A color multiplied by alpha, or alpha. Rows are computed when they are read, so that a large picture is not
 * copied.
 */
function planeOf(raster: Raster, channel: number | 'alpha'): Plane {
  const { width, height, channels, data } = raster;
  const scale = depthOf(raster) === 16 ? 1 / 257 : 1;
  const clear = hasAlpha(channels);
  const ofAlpha = channel === 'alpha';
  const first = ofAlpha ? channels - 1 : channels >= 3 ? channel : 0;
  return {
    width,
    height,
    readRow(y, into) {
      if (ofAlpha && !clear) into.fill(255, 0, width);
      else
        for (let x = 0, i = y * width * channels; x < width; x++, i += channels) {
          const alpha = clear && !ofAlpha ? (data[i + channels - 1]! * scale) / 255 : 1;
          into[x] = data[i + first]! * scale * alpha;
        }
    },
  };
}

/** Means of 2x2. A zero precedes an odd side, as in average pooling with padding. */
function halved(plane: Plane): Plane {
  const width = (plane.width + 1) >> 1;
  const height = (plane.height + 1) >> 1;
  const padX = plane.width & 1;
  const padY = plane.height & 1;
  const data = new Float32Array(width * height);
  const upper = new Float64Array(plane.width + 1);
  const lower = new Float64Array(plane.width + 1);
  for (let y = 0; y < height; y++) {
    const top = 2 * y - padY;
    if (top < 0) upper.fill(0);
    else plane.readRow(top, upper.subarray(padX));
    plane.readRow(top + 1, lower.subarray(padX));
    for (let x = 0; x < width; x++)
      data[y * width + x] = (upper[2 * x]! + upper[2 * x + 1]! + lower[2 * x]! + lower[2 * x + 1]!) / 4;
  }
  return {
    width,
    height,
    readRow: (y, into) => into.set(data.subarray(y * width, (y + 1) * width)),
  };
}

/** Half of the Gaussian, its center first. */
const GAUSSIAN = (() => {
  const half = WINDOW >> 1;
  const weights = Float64Array.from({ length: half + 1 }, (_, i) => Math.exp(-(i * i) / (2 * SIGMA * SIGMA)));
  const sum = weights.reduce((total, weight) => total + weight, 0) * 2 - weights[0]!;
  return weights.map((weight) => weight / sum);
})();

/** a, b, a*a, b*b and a*b. */
type Maps = [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
const MAPS = 5;

function mapsOf(length: number): Maps {
  return Array.from({ length: MAPS }, () => new Float64Array(length)) as Maps;
}

/**
 * Means over all windows of the contrast-structure term and of SSIM: Wang, Bovik, Sheikh and Simoncelli,
 * 2004.
 */
function compare(a: Plane, b: Plane): { structure: number; similarity: number } {
  const { width, height } = a;
  const count = width - WINDOW + 1;
  // The last 11 rows of each map, filtered along x.
  const ring = Array.from({ length: MAPS * WINDOW }, () => new Float64Array(count));
  const rows = mapsOf(width);
  const [rowA, rowB, rowAA, rowBB, rowAB] = rows;
  const filtered = mapsOf(count);
  const [meanA, meanB, meanAA, meanBB, meanAB] = filtered;
  let structure = 0;
  let similarity = 0;
  for (let y = 0; y < height; y++) {
    a.readRow(y, rowA);
    b.readRow(y, rowB);
    for (let x = 0; x < width; x++) {
      const va = rowA[x]!;
      const vb = rowB[x]!;
      rowAA[x] = va * va;
      rowBB[x] = vb * vb;
      rowAB[x] = va * vb;
    }
    for (let m = 0; m < MAPS; m++) filterRow(rows[m]!, ring[m * WINDOW + (y % WINDOW)]!);
    if (y < WINDOW - 1) continue;
    for (let m = 0; m < MAPS; m++) filterColumn(ring, m * WINDOW, y - (WINDOW >> 1), filtered[m]!);
    for (let x = 0; x < count; x++) {
      const ma = meanA[x]!;
      const mb = meanB[x]!;
      const variances = meanAA[x]! - ma * ma + meanBB[x]! - mb * mb;
      const term = (2 * (meanAB[x]! - ma * mb) + C2) / (variances + C2);
      structure += term;
      similarity += (term * (2 * ma * mb + C1)) / (ma * ma + mb * mb + C1);
    }
  }
  const windows = count * (height - WINDOW + 1);
  return { structure: structure / windows, similarity: similarity / windows };
}

const [G0, G1, G2, G3, G4, G5] = GAUSSIAN as unknown as [number, number, number, number, number, number];

function filterRow(row: Float64Array, into: Float64Array): void {
  for (let x = 0; x < into.length; x++) {
    into[x] =
      G0 * row[x + 5]! +
      G1 * (row[x + 4]! + row[x + 6]!) +
      G2 * (row[x + 3]! + row[x + 7]!) +
      G3 * (row[x + 2]! + row[x + 8]!) +
      G4 * (row[x + 1]! + row[x + 9]!) +
      G5 * (row[x]! + row[x + 10]!);
  }
}

/** `center`: a row of the picture. ring[first + y % 11] holds row y. */
function filterColumn(ring: Float64Array[], first: number, center: number, into: Float64Array): void {
  const at = (dy: number) => ring[first + ((center + dy + WINDOW) % WINDOW)]!;
  const [r0, u1, d1, u2, d2] = [at(0), at(-1), at(1), at(-2), at(2)];
  const [u3, d3, u4, d4, u5, d5] = [at(-3), at(3), at(-4), at(4), at(-5), at(5)];
  for (let x = 0; x < into.length; x++) {
    into[x] =
      G0 * r0[x]! +
      G1 * (u1[x]! + d1[x]!) +
      G2 * (u2[x]! + d2[x]!) +
      G3 * (u3[x]! + d3[x]!) +
      G4 * (u4[x]! + d4[x]!) +
      G5 * (u5[x]! + d5[x]!);
  }
}
