import type { Engine, Extent, Patch, Rect, Samples } from '../engine/engine.ts';
import { distortionWeight } from '../network/distortion-weight.ts';
import { sat16 } from '../network/fixed-point.ts';
import { gradientNetwork } from '../network/gradient.ts';
import { copyOverlap, cut, latentWindow, sitesOf } from '../network/window.ts';
import { codeWindow } from './coded-window.ts';
import { type Measure, sampleErrors } from './sample-errors.ts';

/**
 * Gradient descent on the latents of one picture (Campos et al., "Content Adaptive Optimization for Neural
 * Image Compression", arXiv 1906.01223). It starts from the output of analysis and minimizes bits plus
 * weighted error; the error is squared, as in training, or has a part for structure (`sample-errors.ts`).
 * Only encoders run it: the format does not change. It computes in doubles, with operations that IEEE 754
 * fixes, so that a picture still has one file.
 *
 * The gradient is taken at the rounded latents, which decoders see, and applied to the unrounded ones. On its
 * own it would push these until they round to another symbol, better or not; CURVATURE corrects for the
 * distance between the two. The gradient of the bits regards each symbol alone: its mean and deviation count
 * as constant.
 */

/** Length of the first step, in squared symbols per bit. Each further step is shorter by the same amount. */
const FIRST_STEP = 0.008;
/**
 * Second derivative of bits plus weighted error by a latent, measured in symbols: 12 / ln 2. Steps of symbols
 * are optimal for their quality, so making them finer by a small share costs as many bits (share / ln 2) as
 * it saves of the rounding error (share * CURVATURE / 12).
 */
const CURVATURE = 17.3;

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

/**
 * The analysis output of a part, (latents.height, latents.width, C), improved by `steps` steps. Each codes
 * and decodes the part and computes the gradient.
 */
export async function optimizedAnalysis(
  engine: Engine,
  { latents, level, chunkSize, target, measure, ...part }: OptimizedPart,
  quality: number,
  steps: number,
  signal?: AbortSignal,
): Promise<Int16Array> {
  const { model } = engine;
  const { latentChannels: channels, latent, qualities } = model;
  // A third for the mean over three colors; twice, since the network gives half the derivative of the square.
  const distortion = ((2 * distortionWeight(quality, qualities)) / 3) * gradientNetwork(model).unit;
  const symbols = Array.from(
    latent.step.subarray((quality - 1) * channels, quality * channels),
    (step) => step / 2 ** latent.stepBits,
  );

  const around = latentWindow(model, sitesOf(model, latents), level);
  const guess = { rect: around, channels, data: await part.analyze(around) };
  const { latents: coded, slopes } = await codeWindow(engine, guess, chunkSize, quality, signal);
  const errorsOf = (shown: Samples) => sampleErrors(shown, target, model.imageShift, measure);
  const inside = (data: Int16Array) => cut(data, around, latents, channels);
  const rounded = inside(guess.data);
  const precise = Float64Array.from(rounded);
  for (let step = 0; step < steps; step++) {
    const window = { rect: latents, channels, data: rounded };
    const now = step > 0 ? await codeWindow(engine, window, chunkSize, quality, signal) : undefined;
    if (now) copyOverlap(now.latents.data, latents, coded.data, around, channels);
    const [shown, slope] = now ? [now.latents.data, now.slopes] : [inside(coded.data), inside(slopes)];
    const gradient = await engine.gradient(coded, level, latents, target.rect, errorsOf, quality, signal);
    const length = FIRST_STEP * (1 - step / steps);
    for (let c = 0; c < channels; c++) {
      const symbol = symbols[c]!;
      const byBits = (length * symbol) / 256;
      const byError = length * symbol * symbol * distortion;
      const back = length * CURVATURE;
      for (let i = c; i < rounded.length; i += channels) {
        const ahead = precise[i]! - shown[i]!;
        const moved = precise[i]! - byBits * slope[i]! - byError * gradient[i]! - back * ahead;
        precise[i] = moved;
        rounded[i] = sat16(Math.floor(moved + 0.5));
      }
    }
    part.onStep();
  }
  return rounded;
}
