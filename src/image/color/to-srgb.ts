import { copyOf, type Raster } from '../raster.ts';

/** Linear Display P3 -> linear sRGB: CSS Color 4, chapter 10. */
const MATRIX = [
  [1.22494, -0.22494, 0],
  [-0.04206, 1.04206, 0],
  [-0.01964, -0.07864, 1.09827],
] as const;
const PEAK = 65535;

let curves: readonly Float32Array[] | undefined;

/**
 * A raster in sRGB, for what knows nothing else: colors beyond it end at its border. The raster itself where
 * it is sRGB. Alpha stays.
 */
export function toSrgb(raster: Raster): Raster {
  const { colorSpace, ...same } = raster;
  if (colorSpace !== 'display-p3') return raster;
  curves ??= [linearOf, curvedOf].map((curve) =>
    Float32Array.from({ length: PEAK + 1 }, (_, i) => curve(i / PEAK)),
  );
  const [linear, curved] = curves as [Float32Array, Float32Array];
  const { channels } = raster;
  const data = copyOf(raster.data);
  const peak = data instanceof Uint16Array ? PEAK : 255;
  const scale = PEAK / peak;
  for (let i = 0; channels >= 3 && i < data.length; i += channels) {
    const r = linear[data[i]! * scale]!;
    const g = linear[data[i + 1]! * scale]!;
    const b = linear[data[i + 2]! * scale]!;
    for (let c = 0; c < 3; c++) {
      const [byR, byG, byB] = MATRIX[c]!;
      const light = Math.min(1, Math.max(0, byR * r + byG * g + byB * b));
      data[i + c] = Math.round(peak * curved[Math.round(PEAK * light)]!);
    }
  }
  return { ...same, data };
}

/** A sample of sRGB's curve, 0..1, in linear light: IEC 61966-2-1. */
export function linearOf(x: number): number {
  return x > 0.04045 ? ((x + 0.055) / 1.055) ** 2.4 : x / 12.92;
}

/** And back. */
export function curvedOf(x: number): number {
  return x > 0.0031308 ? 1.055 * x ** (1 / 2.4) - 0.055 : 12.92 * x;
}
