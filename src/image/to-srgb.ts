import type { Raster } from './raster.ts';

/** Linear Display P3 -> linear sRGB: CSS Color 4, chapter 10. */
const MATRIX = [
  [1.22494, -0.22494, 0],
  [-0.04206, 1.04206, 0],
  [-0.01964, -0.07864, 1.09827],
] as const;

/** A raster in sRGB, for what knows nothing else: colors beyond it end at its border. The raster itself where it is sRGB. Alpha stays. */
export function toSrgb(raster: Raster): Raster {
  const { colorSpace, ...same } = raster;
  if (colorSpace !== 'display-p3') return raster;
  const { channels } = raster;
  const peak = raster.data instanceof Uint16Array ? 65535 : 255;
  const data = raster.data.slice();
  for (let i = 0; channels >= 3 && i < data.length; i += channels) {
    const [r, g, b] = [0, 1, 2].map((c) => linearOf(data[i + c]! / peak)) as [number, number, number];
    MATRIX.forEach((row, c) => {
      const x = Math.min(1, Math.max(0, row[0] * r + row[1] * g + row[2] * b));
      data[i + c] = Math.round(peak * (x > 0.0031308 ? 1.055 * x ** (1 / 2.4) - 0.055 : 12.92 * x));
    });
  }
  return { ...same, data };
}

/** A sample of sRGB's curve, 0..1, in linear light: IEC 61966-2-1. */
export function linearOf(x: number): number {
  return x > 0.04045 ? ((x + 0.055) / 1.055) ** 2.4 : x / 12.92;
}
