import { hasAlpha, type Raster, samplesLike } from './raster.ts';
import { Turns } from './turns.ts';

/**
 * Reduction by 2 or 4 for overview levels: separable cubic convolution (Keys, 1981, a = -1/2) widened by the
 * factor, edges repeated. Only +, * and / on doubles in a fixed order, so every machine gets the same
 * samples. With alpha, colors are weighted by it; where nothing shows they are a plain mean, since decoders
 * and networks mix them with those beside them. (height, width) -> (ceil(height / factor), ceil(width /
 * factor)). Rejects with the signal's reason.
 */
export async function reduce(raster: Raster, factor: 2 | 4, signal?: AbortSignal): Promise<Raster> {
  const { width, height, channels } = raster;
  const outWidth = Math.ceil(width / factor);
  const outHeight = Math.ceil(height / factor);
  const weights = cubicWeights(factor);
  const taps = weights.length;
  const lead = (taps - factor) / 2; // taps before the first sample under the output sample
  const alpha = hasAlpha(channels) ? channels - 1 : -1;
  const maximum = raster.data instanceof Uint16Array ? 65535 : 255;
  const data = samplesLike(raster.data, outWidth * outHeight * channels);

  // A ring of `taps` rows already reduced along x, so that a large picture needs no second copy.
  const rowLength = outWidth * channels;
  const ring = Array.from({ length: taps }, () => new Float64Array(rowLength));
  const ringRow = new Int32Array(taps).fill(-1);
  const padded = new Float64Array((width + 2 * taps) * channels);
  const reducedRow = (y: number): Float64Array => {
    const slot = y % taps;
    const row = ring[slot]!;
    if (ringRow[slot] !== y) {
      padRow(raster, y, lead, taps, alpha, maximum, padded);
      for (let x = 0; x < outWidth; x++) {
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let t = 0, i = x * factor * channels + c; t < taps; t++, i += channels)
            sum += weights[t]! * padded[i]!;
          row[x * channels + c] = sum;
        }
      }
      ringRow[slot] = y;
    }
    return row;
  };

  const turns = new Turns(signal);
  for (let y = 0; y < outHeight; y++) {
    if (turns.over) await turns.next();
    const rows: Float64Array[] = [];
    for (let t = 0; t < taps; t++)
      rows.push(reducedRow(Math.min(height - 1, Math.max(0, y * factor - lead + t))));
    const at = y * rowLength;
    for (let i = 0; i < rowLength; i++) {
      let sum = 0;
      for (let t = 0; t < taps; t++) sum += weights[t]! * rows[t]![i]!;
      padded[i] = sum;
    }
    for (let x = 0; x < outWidth; x++) {
      const pixel = x * channels;
      const opacity = alpha < 0 ? 1 : padded[pixel + alpha]! / maximum;
      // What rounds to none has no color of its own.
      const hidden = alpha >= 0 && padded[pixel + alpha]! < 0.5;
      for (let c = 0; c < channels; c++) {
        const value =
          c === alpha
            ? padded[pixel + c]!
            : hidden
              ? plainMean(raster, x * factor, y * factor, c, factor)
              : padded[pixel + c]! / opacity;
        data[at + pixel + c] = Math.min(maximum, Math.max(0, Math.floor(value + 0.5)));
      }
    }
  }
  return { ...raster, width: outWidth, height: outHeight, data };
}

/** Of one channel of the pixels under an output sample, whatever their alpha. */
function plainMean(raster: Raster, left: number, top: number, channel: number, factor: number): number {
  const { width, height, channels, data } = raster;
  const right = Math.min(width, left + factor);
  const bottom = Math.min(height, top + factor);
  let sum = 0;
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) sum += data[(y * width + x) * channels + channel]!;
  return sum / ((right - left) * (bottom - top));
}

/** Weights of the 4 * factor samples around an output sample; they add up to 1. */
function cubicWeights(factor: number): number[] {
  const weights: number[] = [];
  for (let t = 0; t < 4 * factor; t++) {
    const distance = Math.abs((t + 0.5) / factor - 2);
    const square = distance * distance; // not **: powers may differ between machines
    weights.push(
      distance < 1 ? (1.5 * distance - 2.5) * square + 1 : (2.5 - 0.5 * distance) * square - 4 * distance + 2,
    );
  }
  let sum = 0;
  for (const weight of weights) sum += weight;
  return weights.map((weight) => weight / sum);
}

/** Row y as doubles with its ends repeated, colors multiplied by alpha. */
function padRow(
  { width, channels, data }: Raster,
  y: number,
  lead: number,
  taps: number,
  alpha: number,
  maximum: number,
  padded: Float64Array,
): void {
  const start = y * width * channels;
  for (let x = -lead, o = 0; x < width + taps; x++) {
    const pixel = start + Math.min(width - 1, Math.max(0, x)) * channels;
    const opacity = alpha < 0 ? 1 : data[pixel + alpha]! / maximum;
    for (let c = 0; c < channels; c++, o++) {
      padded[o] = c === alpha || alpha < 0 ? data[pixel + c]! : data[pixel + c]! * opacity;
    }
  }
}
