/**
 * Conversion by profiles of curves and a matrix. sharp converts through coarse tables, which lose half of the
 * tones of 8 bits.
 */
import type { ColorSpace } from '../../color-space.ts';
import type { Raster } from '../raster.ts';
import { inTurns } from '../turns.ts';
import { curvedOf } from './to-srgb.ts';

type Triple = readonly [number, number, number];
/** Rows, or columns where it says so. */
export type Matrix = readonly [Triple, Triple, Triple];

/** A sample, 0..1, in linear light, 0..1. */
export type Curve = (x: number) => number;

/**
 * A profile that is made of tone curves and, where it is of colors, of a matrix: samples -> linear light ->
 * XYZ.
 */
export interface Shaper {
  /** Of red, green and blue, or of gray. */
  readonly curves: readonly Curve[];
  /** XYZ of red, green and blue, adapted to D50; none of gray. */
  readonly columns?: Matrix;
}

/**
 * D50 XYZ (0.9642, 1, 0.8249) -> linear light: the inverse of the primaries of IEC 61966-2-1 and SMPTE EG
 * 432-1, adapted from D65 by Bradford's matrix.
 */
export const FROM_XYZ: Readonly<Record<ColorSpace, Matrix>> = {
  srgb: [
    [3.1341864, -1.617209, -0.4906941],
    [-0.9787485, 1.9161301, 0.0334334],
    [0.0719639, -0.2289939, 1.4057537],
  ],
  'display-p3': [
    [2.403984, -0.9899069, -0.3976415],
    [-0.8422229, 1.7988437, 0.0160354],
    [0.0482059, -0.0974068, 1.2740049],
  ],
};
/** Columns of their matrices, red, green and blue, adapted to D50. */
export const PRIMARIES: Readonly<Record<ColorSpace, Matrix>> = {
  srgb: [
    [0.4361, 0.2225, 0.0139],
    [0.3851, 0.7169, 0.0971],
    [0.1431, 0.0606, 0.7141],
  ],
  'display-p3': [
    [0.5151, 0.2412, -0.0011],
    [0.2919, 0.6922, 0.0419],
    [0.1572, 0.0666, 0.7841],
  ],
};
/** Profiles of different makers differ by some 0.0003; sRGB, Display P3 and Adobe RGB by 0.07 and more. */
const MATRIX_TOLERANCE = 0.002;
const SAME: Matrix = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];
/** As far as the whites of profiles are apart that mean the same one. */
const WHITE_TOLERANCE = 0.002;
const PEAK = 65535;

let curved: Float32Array | undefined;

/**
 * Converts samples of the profile's color space, gray or RGB, to `colorSpace`, in place; alpha stays. Colors
 * beyond the color space are clipped. Rejects with the signal's reason.
 */
export async function convertByShaper(
  { data, channels }: Raster,
  { curves, columns }: Shaper,
  colorSpace: ColorSpace,
  signal?: AbortSignal,
): Promise<void> {
  // One more than are asked for: between two of them it is linear.
  curved ??= Float32Array.from({ length: PEAK + 2 }, (_, i) => curvedOf(i / PEAK));
  const peak = data instanceof Uint16Array ? PEAK : 255;
  const lights = curves.map((curve) => lightsOf(curve, peak));
  const convert = columns
    ? colorsBy(lights, matrixTo(colorSpace, columns), channels, peak, curved)
    : graysBy(lights[0]!, channels, peak, curved);
  await inTurns(data.length, channels, signal, (from, to) => convert(data, from, to));
}

type Convert = (data: Raster['data'], from: number, to: number) => void;

function graysBy(lights: Float32Array, channels: number, peak: number, curved: Float32Array): Convert {
  // Gray with alpha may come as RGBA.
  const colors = channels <= 2 ? 1 : 3;
  const grays = lights.map((light) => sampleOf(light, peak, curved));
  return (data, from, to) => {
    for (let i = from; i < to; i += channels) for (let c = i; c < i + colors; c++) data[c] = grays[data[c]!]!;
  };
}

function colorsBy(
  [reds, greens, blues]: readonly Float32Array[],
  [toRed, toGreen, toBlue]: Matrix,
  channels: number,
  peak: number,
  curved: Float32Array,
): Convert {
  return (data, from, to) => {
    for (let i = from; i < to; i += channels) {
      const r = reds![data[i]!]!;
      const g = greens![data[i + 1]!]!;
      const b = blues![data[i + 2]!]!;
      data[i] = sampleOf(toRed[0] * r + toRed[1] * g + toRed[2] * b, peak, curved);
      data[i + 1] = sampleOf(toGreen[0] * r + toGreen[1] * g + toGreen[2] * b, peak, curved);
      data[i + 2] = sampleOf(toBlue[0] * r + toBlue[1] * g + toBlue[2] * b, peak, curved);
    }
  };
}

/** What samples are in linear light. Of 32 bits, which powers are the same in on every machine. */
function lightsOf(curve: Curve, peak: number): Float32Array {
  return Float32Array.from({ length: peak + 1 }, (_, i) => {
    const light = curve(i / peak);
    // A damaged curve may give no number.
    return light > 0 ? Math.min(1, light) : 0;
  });
}

function sampleOf(light: number, peak: number, curved: Float32Array): number {
  const position = PEAK * Math.min(1, Math.max(0, light));
  const index = Math.floor(position);
  const low = curved[index]!;
  return Math.floor(peak * (low + (curved[index + 1]! - low) * (position - index)) + 0.5);
}

/** Whether a profile's primaries are those of a color space, but for rounding. */
export function hasPrimariesOf(colorSpace: ColorSpace, columns: Matrix): boolean {
  return PRIMARIES[colorSpace].every((column, i) =>
    column.every((value, j) => Math.abs(columns[i]![j]! - value) <= MATRIX_TOLERANCE),
  );
}

/**
 * Linear light of a profile -> that of a color space. White, which profiles round in several ways, stays
 * white, and so gray gray.
 */
function matrixTo(colorSpace: ColorSpace, columns: Matrix): Matrix {
  if (hasPrimariesOf(colorSpace, columns)) return SAME;
  return FROM_XYZ[colorSpace].map(([x, y, z]) => {
    const row = columns.map((xyz) => x * xyz[0] + y * xyz[1] + z * xyz[2]);
    const white = row[0]! + row[1]! + row[2]!;
    return Math.abs(white - 1) <= WHITE_TOLERANCE ? row.map((value) => value / white) : row;
  }) as unknown as Matrix;
}
