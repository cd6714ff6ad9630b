import type { Patch, Samples } from '../engine/engine.ts';
import { msSsimSlope, type Plane } from '../metrics/ms-ssim-slope.ts';
import { levelOf, pictureValue, sat16 } from '../network/fixed-point.ts';

/** What makes a picture close: `psnr`, a small squared error alone; `ms-ssim`, that and structure at several scales, as eyes see it. */
export type Measure = (typeof MEASURES)[number];
export const MEASURES = ['ms-ssim', 'psnr'] as const;

/** Share of structure in the pull on luma; more of it costs PSNR and brings little. */
const STRUCTURE = 0.5;
/** Rec. 601. */
const LUMA = [0.299, 0.587, 0.114] as const;

/**
 * By how much the samples shown are off, in units of `target`, which is what analysis reads; or half the derivative of an error that counts structure too.
 * The pull of that is made as strong as the one it stands for, on the mean over the part: so bits stay worth what they are by squared error, in
 * rough pictures and in smooth ones. Color beside luma is left to squared error.
 */
export function sampleErrors(
  shown: Samples,
  target: Patch,
  imageShift: number,
  measure: Measure,
): Int16Array {
  const data = new Int16Array(shown.length);
  for (let i = 0; i < data.length; i++)
    data[i] = sat16(pictureValue(shown[i]!, imageShift) - target.data[i]!);
  if (measure === 'psnr') return data;
  const slope = msSsimSlope(
    lumaPlane(shown, target, 1 / 257, 0),
    lumaPlane(target.data, target, 1 / levelOf(imageShift), 127.5),
  );
  if (slope === undefined) return data;
  const [red, green, blue] = LUMA;
  let squared = 0;
  let structural = 0;
  for (let i = 0, e = 0; i < slope.length; i++, e += 3) {
    squared += Math.abs(red * data[e]! + green * data[e + 1]! + blue * data[e + 2]!);
    structural += Math.abs(slope[i]!);
  }
  if (structural === 0) return data;
  const factor = (3 * STRUCTURE * squared) / structural;
  for (let i = 0, e = 0; i < slope.length; i++, e += 3) {
    const less = STRUCTURE * (red * data[e]! + green * data[e + 1]! + blue * data[e + 2]!);
    const pull = factor * slope[i]!;
    data[e] = rounded(data[e]! - less - red * pull);
    data[e + 1] = rounded(data[e + 1]! - less - green * pull);
    data[e + 2] = rounded(data[e + 2]! - less - blue * pull);
  }
  return data;
}

function rounded(value: number): number {
  return sat16(Math.floor(value + 0.5));
}

function lumaPlane(samples: Samples | Int16Array, { rect }: Patch, scale: number, offset: number): Plane {
  const data = new Float64Array(rect.height * rect.width);
  const [red, green, blue] = LUMA.map((part) => part * scale) as [number, number, number];
  for (let i = 0, s = 0; i < data.length; i++, s += 3)
    data[i] = red * samples[s]! + green * samples[s + 1]! + blue * samples[s + 2]! + offset;
  return { width: rect.width, height: rect.height, data };
}
