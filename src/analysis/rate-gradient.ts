import type { ChunkRate, Engine, Extent } from '../engine/engine.ts';
import { backNetwork, type ChunkNetwork } from '../network/back-network.ts';
import { groupAt } from '../network/channel-groups.ts';
import { hyperExtent } from '../network/chunk-size.ts';
import type { LatentQuantizer } from '../network/model.ts';
import { joinChannels, scaledExtent } from '../network/window.ts';

/**
 * The derivative of a chunk's bits by its latents and hyper latents. A latent costs bits itself, and sets mean
 * and deviation of those that are coded after it; a hyper latent sets those of all latents around it. Rounding
 * counts as if it changed nothing.
 *
 * h, w = rows, columns of latents; hz, wz those of hyper latents; Cy, Cz, Ch = channels of latents, hyper
 * latents, h.
 */

/** Slopes are in 1/256 bit. */
const SLOPE = 1 / 256;
/** The largest derivative that is passed on to a network as it is, in standard deviations of all of them. */
const LARGEST = 16;

/** A chunk that `Engine.encodeChunk` has coded. */
export interface RatedChunk {
  readonly extent: Extent;
  readonly latents: Int16Array;
  readonly rate: ChunkRate;
}

/** Bits by which a chunk grows for each unit. */
export interface RateGradient {
  /** (h, w, Cy) */
  readonly latents: Float64Array;
  /** (hz, wz, Cz) */
  readonly hyper: Float64Array;
}

export async function rateGradient(
  engine: Engine,
  { extent, latents, rate }: RatedChunk,
  quality: number,
  signal?: AbortSignal,
): Promise<RateGradient> {
  const { model } = engine;
  const { latentChannels: channels, hyperChannels, priorChannels, latent, hyper } = model;
  const back = (network: ChunkNetwork, input: Int16Array, size: Extent, derivatives: Float64Array) =>
    backpropagated(engine, network, input, size, derivatives, quality, signal);

  const alone = byUnits(rate.slopes, latent, channels, quality);
  const gradient = alone.slice();
  const add = (to: Float64Array, at: number, from: Float64Array, first: number, count: number) => {
    for (let i = 0; i < count; i++) to[at + i]! += from[first + i]!;
  };

  const hyperSize = hyperExtent(model, extent);
  const padded = scaledExtent(hyperSize, model.hyperStride);
  const byContext = new Float64Array(padded.height * padded.width * priorChannels);
  const codedIn = codingSteps(extent, channels);
  for (const [step, { mean, deviation }] of model.prior.entries()) {
    const derivatives = new Float64Array(2 * latents.length);
    const known = new Int16Array(latents.length);
    // A symbol counts from the mean on.
    const byMean = -1 / 2 ** mean.shift;
    const byDeviation = SLOPE / 2 ** (latent.deviationShift + deviation.shift);
    for (let i = 0, at = 0; i < latents.length; at += channels) {
      for (let c = 0; c < channels; c++, i++, at++) {
        if (codedIn[i]! < step) known[i] = latents[i]!;
        if (codedIn[i] !== step) continue;
        derivatives[at] = byMean * alone[i]!;
        derivatives[at + channels] = byDeviation * rate.tableSlopes[i]!;
      }
    }
    const { context } = rate;
    const read = step === 0 ? context : joinChannels(context, priorChannels, known, channels);
    const found = await back(step, read, extent, derivatives);
    for (let row = 0, from = 0, i = 0; row < extent.height; row++) {
      for (let column = 0; column < extent.width; column++) {
        add(byContext, (row * padded.width + column) * priorChannels, found, from, priorChannels);
        from += priorChannels;
        if (step === 0) continue;
        for (let c = 0; c < channels; c++, from++, i++) if (codedIn[i]! < step) gradient[i]! += found[from]!;
      }
    }
  }

  const byHyper = byUnits(rate.hyperSlopes, hyper, hyperChannels, quality);
  const fromLatents = await back('hyperSynthesis', rate.hyperLatents, hyperSize, byContext);
  add(byHyper, 0, fromLatents, 0, byHyper.length);
  return { latents: gradient, hyper: byHyper };
}

/** Slopes by symbols as bits for each unit of a latent. */
function byUnits(slopes: Int16Array, quantizer: Quantizer, channels: number, quality: number): Float64Array {
  const bits = symbolUnits(quantizer, channels, quality).map((units) => SLOPE / units);
  const rates = new Float64Array(slopes.length);
  for (let i = 0; i < rates.length; ) {
    for (let c = 0; c < channels; c++, i++) rates[i] = slopes[i]! * bits[c]!;
  }
  return rates;
}

/** What latents and hyper latents are quantized by. */
type Quantizer = Pick<LatentQuantizer, 'step' | 'stepBits'>;

/** Units of each channel that a symbol is worth. */
export function symbolUnits({ step, stepBits }: Quantizer, channels: number, quality: number): Float64Array {
  const first = (quality - 1) * channels;
  return Float64Array.from(step.subarray(first, first + channels), (units) => units / 2 ** stepBits);
}

/** The step of the prior that codes each latent, (h, w, Cy). */
function codingSteps({ height, width }: Extent, channels: number): Uint8Array {
  const steps = new Uint8Array(height * width * channels);
  const group = channels / 4;
  for (let step = 0; step < 4; step++) {
    for (let row = 0, at = 0; row < height; row++) {
      for (let column = 0; column < width; column++, at += channels) {
        const from = at + groupAt(step, row, column) * group;
        steps.fill(step, from, from + group);
      }
    }
  }
  return steps;
}

/** `Engine.backpropagate` for derivatives of any magnitude. */
async function backpropagated(
  engine: Engine,
  network: ChunkNetwork,
  input: Int16Array,
  extent: Extent,
  derivatives: Float64Array,
  quality: number,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const { limit, unit } = backNetwork(engine.model, network);
  const { length } = derivatives;
  let squares = 0;
  for (let i = 0; i < length; i++) squares += derivatives[i]! * derivatives[i]!;
  const scale = squares > 0 ? limit / (LARGEST * Math.sqrt(squares / length)) : 1;
  const scaled = new Int16Array(length);
  for (let i = 0; i < length; i++)
    scaled[i] = Math.max(-limit, Math.min(limit, Math.floor(derivatives[i]! * scale + 0.5)));
  const found = await engine.backpropagate(network, input, extent, scaled, quality, signal);
  const result = new Float64Array(found.length);
  for (let i = 0; i < result.length; i++) result[i] = found[i]! * (unit / scale);
  return result;
}
