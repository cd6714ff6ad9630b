import type { Patch, Samples } from '../engine/engine.ts';
import { lumaPlane, pullToStructure } from '../metrics/structural-pull.ts';
import { levelOf, pictureValue, sat16 } from '../network/fixed-point.ts';

/**
 * What makes a picture close: `psnr`, a small squared error; `ms-ssim`, besides, alike structure at several
 * scales, which is nearer to what eyes see.
 */
export type Measure = (typeof MEASURES)[number];
export const MEASURES = ['ms-ssim', 'psnr'] as const;

/** Share of structure in the pull on luma. More costs PSNR and gains little. */
const STRUCTURE = 0.5;

/**
 * The errors of the samples shown, in the units of `target`, which is the input of analysis. With `ms-ssim`,
 * half the derivative of an error that counts structure, too.
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
  const errors = Float64Array.from(data);
  pullToStructure(
    errors,
    lumaPlane(shown, target.rect, 1 / 257),
    lumaPlane(target.data, target.rect, 1 / levelOf(imageShift), 127.5),
    STRUCTURE,
  );
  return data.map((_, i) => sat16(Math.floor(errors[i]! + 0.5)));
}
