import type { Raster } from '../../src/image/raster.ts';

/** A resampling kernel: its weight at a distance in samples, zero beyond `support`. */
interface Kernel {
  readonly support: number;
  weight(distance: number): number;
}

/** Keys' cubic convolution with a = -1/2, "bicubic". */
export const BICUBIC: Kernel = {
  support: 2,
  weight: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0),
};

/** Lanczos with three lobes. */
export const LANCZOS: Kernel = {
  support: 3,
  weight: (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0),
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * The textbook's separable resampling of an 8-bit raster: samples at pixel centres, the kernel widened where
 * it reduces, borders repeated. Written out here because libvips enlarges with a bicubic interpolator
 * whatever kernel is asked for.
 */
export function resize(raster: Raster, width: number, height: number, kernel: Kernel): Raster {
  const { channels } = raster;
  const columns = filterOf(raster.width, width, kernel);
  const rows = filterOf(raster.height, height, kernel);
  const wide = new Float64Array(raster.height * width * channels);
  for (let y = 0, o = 0; y < raster.height; y++) {
    for (let x = 0; x < width; x++, o += channels) {
      for (const { sample, weight } of columns[x]!) {
        const i = (y * raster.width + sample) * channels;
        for (let c = 0; c < channels; c++) wide[o + c]! += weight * raster.data[i + c]!;
      }
    }
  }
  const data = new Uint8Array(width * height * channels);
  const length = width * channels;
  const sums = new Float64Array(length);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (const { sample, weight } of rows[y]!)
      for (let i = 0; i < length; i++) sums[i]! += weight * wide[sample * length + i]!;
    for (let i = 0; i < length; i++) data[y * length + i] = Math.min(255, Math.max(0, Math.round(sums[i]!)));
  }
  return { width, height, channels, data };
}

/** For each output position the samples that it reads, and weights that add up to 1. */
function filterOf(from: number, to: number, kernel: Kernel): { sample: number; weight: number }[][] {
  const step = from / to;
  const spread = Math.max(1, step);
  return Array.from({ length: to }, (_, j) => {
    const center = (j + 0.5) * step - 0.5;
    const taps: { sample: number; weight: number }[] = [];
    const reach = kernel.support * spread;
    let sum = 0;
    for (let i = Math.ceil(center - reach); i <= Math.floor(center + reach); i++) {
      const weight = kernel.weight(Math.abs(i - center) / spread);
      sum += weight;
      taps.push({ sample: Math.min(from - 1, Math.max(0, i)), weight });
    }
    return taps.map(({ sample, weight }) => ({ sample, weight: weight / sum }));
  });
}
