import { msSsimSlope, type Plane } from './ms-ssim-slope.ts';

/** Weights of R, G and B in luma: Rec. 601. */
const LUMA = [0.299, 0.587, 0.114] as const;

/** Luma of (height, width, 3) samples: of `scale` times each, plus `offset`, which make them 0..255. */
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
 * By how much samples are off, (height, width, 3), is half the derivative of squared error. Makes it, in place, that of an error which counts structure
 * too: `share` of the pull on luma is that of multi-scale structural similarity between the lumas `shown` and `wanted`, made as strong, on the
 * mean over the picture, as the one it stands for. So bits stay worth what they are by squared error, in rough pictures and in smooth ones. Color beside
 * luma is left to squared error, and so are pictures under 8 pixels on a side.
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
