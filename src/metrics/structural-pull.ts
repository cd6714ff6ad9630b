import { msSsimSlope, type Plane } from './ms-ssim-slope.ts';

/** Weights of R, G and B in luma: Rec. 601. */
const LUMA = [0.299, 0.587, 0.114] as const;

/** Luma of (height, width, 3) samples. `scale` and `offset` bring samples to 0..255. */
export function lumaPlane(
  samples: ArrayLike<number>,
  { width, height }: Omit<Plane, 'data'>,
  scale = 1,
  offset = 0,
): Plane {
  const data = new Float64Array(height * width);
  const [red, green, blue] = LUMA.map((part) => part * scale) as [number, number, number];
  for (let i = 0, s = 0; i < data.length; i++, s += 3)
    data[i] = red * samples[s]! + green * samples[s + 1]! + blue * samples[s + 2]! + offset;
  return { width, height, data };
}

/**
 * The errors of samples, (height, width, 3), are half the derivative of the squared error. This changes them,
 * in place, to the derivative of an error that counts structure, too: a share `share` of the pull on luma is
 * replaced by the pull of multi-scale structural similarity between the lumas `shown` and `wanted`. The
 * replacement is scaled to the same mean strength over the picture, so that a bit stays worth as much as by
 * squared error, in rough and in smooth pictures. Chroma stays with squared error, and so do pictures under 8
 * pixels on a side.
 */
export function pullToStructure(errors: Float64Array, shown: Plane, wanted: Plane, share: number): void {
  const slope = msSsimSlope(shown, wanted);
  if (slope === undefined) return;
  const [red, green, blue] = LUMA;
  let squared = 0;
  let structural = 0;
  for (let i = 0, e = 0; i < slope.length; i++, e += 3) {
    squared += Math.abs(red * errors[e]! + green * errors[e + 1]! + blue * errors[e + 2]!);
    structural += Math.abs(slope[i]!);
  }
  if (structural === 0) return;
  const factor = (3 * share * squared) / structural;
  for (let i = 0, e = 0; i < slope.length; i++, e += 3) {
    const less = share * (red * errors[e]! + green * errors[e + 1]! + blue * errors[e + 2]!);
    const pull = factor * slope[i]!;
    errors[e] = errors[e]! - less - red * pull;
    errors[e + 1] = errors[e + 1]! - less - green * pull;
    errors[e + 2] = errors[e + 2]! - less - blue * pull;
  }
}
