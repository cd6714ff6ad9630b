import type { Engine, Extent, Patch, Rect, Samples } from '../engine/engine.ts';
import { distortionWeight } from '../network/distortion-weight.ts';
import { sat16 } from '../network/fixed-point.ts';
import { gradientNetwork } from '../network/gradient.ts';
import { copyOverlap, cut, latentWindow, sitesOf } from '../network/window.ts';
import { codeWindow } from './coded-window.ts';
import { symbolUnits } from './rate-gradient.ts';
import { type Measure, sampleErrors } from './sample-errors.ts';

/**
 * Gradient descent on latents and hyper latents of one picture (Campos et al., "Content Adaptive Optimization
 * for Neural Image Compression", arXiv 1906.01223). It starts from what analysis and hyper analysis give, and
 * minimizes bits plus weighted error; the error is squared, as in training, or has a part for structure
 * (`sample-errors.ts`). Only encoders run it: the format does not change. It computes in doubles, with
 * operations that IEEE 754 fixes, so that a picture still has one file.
 *
 * The gradient is taken at the rounded latents, which decoders see, and applied to the unrounded ones. On its
 * own it would push these until they round to another symbol, better or not; CURVATURE corrects for the
 * distance between the two: little at first, so that symbols change, and much in the end, so that they stay.
 * The gradient of the bits is that of `rate-gradient.ts`.
 */

/** Length of the first step, in squared symbols per bit. Each further step is shorter by the same amount. */
const FIRST_STEP = 0.008;
/** How many times as long the steps of hyper latents are. */
const HYPER_STEP = 2;
/**
 * Second derivative of bits plus weighted error by a latent, measured in symbols: 12 / ln 2. Steps of symbols
 * are optimal for their quality, so making them finer by a small share costs as many bits (share / ln 2) as
 * it saves of the rounding error (share * CURVATURE / 12).
 */
const CURVATURE = 17.3;
/** Of CURVATURE, in the first step and in the last; between them it grows evenly. */
const FIRST_SHARE = 0.4;
const LAST_SHARE = 1.8;

/** A part of a picture whose latents are optimized together. */
export interface OptimizedPart {
  /** Whole chunks. */
  readonly latents: Rect;
  /** All latents of the picture. */
  readonly level: Extent;
  readonly chunkSize: number;
  /** Analysis output over some latents. */
  analyze(latents: Rect): Promise<Int16Array>;
  /** The pixels of `latents` that the picture has, as analysis reads them. */
  readonly target: Patch;
  readonly measure: Measure;
  /** Called after each step. */
  onStep(): void;
}

/** What is to be coded of a part. */
export interface OptimizedAnalysis {
  /** (latents.height, latents.width, Cy) */
  readonly analysis: Int16Array;
  /** As hyper latents: over `hyperRect` of the latents. Absent: what hyper analysis makes of `analysis`. */
  readonly hyper?: Int16Array | undefined;
}

/**
 * The analysis output of a part, improved by `steps` steps. Each codes and decodes the part and computes the
 * gradient.
 */
export async function optimizedAnalysis(
  engine: Engine,
  { latents, level, chunkSize, target, measure, ...part }: OptimizedPart,
  quality: number,
  steps: number,
  signal?: AbortSignal,
): Promise<OptimizedAnalysis> {
  const { model } = engine;
  const { latentChannels: channels, qualities } = model;
  // A third for the mean over three colors; twice, since the network gives half the derivative of the square.
  const distortion = ((2 * distortionWeight(quality, qualities)) / 3) * gradientNetwork(model).unit;
  const code = (window: Patch, hyper?: Int16Array) =>
    codeWindow(engine, window, latents, hyper, chunkSize, quality, signal);

  const around = latentWindow(model, sitesOf(model, latents), level);
  const guess = { rect: around, channels, data: await part.analyze(around) };
  const inside = (data: Int16Array) => cut(data, around, latents, channels);
  let now = await code(guess);
  const coded = now.latents;
  const y = new Descent(inside(guess.data), symbolUnits(model.latent, channels, quality));
  const z = new Descent(now.hyper, symbolUnits(model.hyper, model.hyperChannels, quality));
  const errorsOf = (shown: Samples) => sampleErrors(shown, target, model.imageShift, measure);
  for (let step = 0; step < steps; step++) {
    if (step > 0) {
      now = await code({ rect: latents, channels, data: y.rounded }, z.rounded);
      copyOverlap(now.latents.data, latents, coded.data, around, channels);
    }
    const gradient = await engine.gradient(coded, level, latents, target.rect, errorsOf, quality, signal);
    const costs = now.rates.latents;
    for (let i = 0; i < costs.length; i++) costs[i]! += distortion * gradient[i]!;
    const length = FIRST_STEP * (1 - step / steps);
    const share = FIRST_SHARE + ((LAST_SHARE - FIRST_SHARE) * step) / Math.max(1, steps - 1);
    const back = length * CURVATURE * share;
    y.move(costs, inside(coded.data), length, back);
    z.move(now.rates.hyper, now.hyperLatents, HYPER_STEP * length, back);
    part.onStep();
  }
  return { analysis: y.rounded, hyper: z.rounded };
}

/** Values that go down a gradient, (…, channels). */
class Descent {
  /** As integers, which are coded. */
  readonly rounded: Int16Array;
  readonly #precise: Float64Array;
  readonly #symbols: Float64Array;

  /** `symbols`: units of each channel that a symbol is worth. */
  constructor(start: Int16Array, symbols: Float64Array) {
    this.rounded = start.slice();
    this.#precise = Float64Array.from(start);
    this.#symbols = symbols;
  }

  /**
   * A step of `length` squared symbols per bit. `costs`: bits for each unit; `shown`: the values that a decoder
   * gets; `back`: the share of the distance to these that is taken back.
   */
  move(costs: Float64Array, shown: Int16Array, length: number, back: number): void {
    const { rounded } = this;
    const precise = this.#precise;
    const channels = this.#symbols.length;
    for (let c = 0; c < channels; c++) {
      const symbol = this.#symbols[c]!;
      const scale = length * symbol * symbol;
      for (let i = c; i < rounded.length; i += channels) {
        const ahead = precise[i]! - shown[i]!;
        const moved = precise[i]! - scale * costs[i]! - back * ahead;
        precise[i] = moved;
        rounded[i] = sat16(Math.floor(moved + 0.5));
      }
    }
  }
}
