import { type EngineError, isLiifError, RequestError, UnsupportedError } from '../errors.ts';
import type { Model } from '../network/model.ts';
import { latentWindow, sitesOf } from '../network/window.ts';
import type { Extent, FeatureMap, FeaturePart, GridPart, Patch, Rect, SamplePart } from './engine.ts';

/** How engines look at what they are called with: what each of them refuses, in the same words. */

/** Throws RequestError. */
export function expectQuality({ qualities }: Model, quality: number): void {
  if (!(Number.isInteger(quality) && quality >= 1 && quality <= qualities))
    throw new RequestError(`Expected a quality from 1 to ${qualities} but received ${quality}`);
}

/** Throws RequestError when `patch`, which is called `what`, does not hold all of `window`. */
export function expectCover(patch: Patch, window: Rect, channels: number, what: string): void {
  const { rect } = patch;
  if (!contains(rect, window) || patch.channels !== channels)
    throw new RequestError(
      `Expected ${what} of ${channels} channels over ${JSON.stringify(window)} but received ${patch.channels} over ${JSON.stringify(rect)}`,
    );
}

/** Throws RequestError for calls of `gradient` whose patches do not fit together. */
export function expectGradient(model: Model, coded: Patch, level: Extent, latents: Rect, pixels: Rect): void {
  const sites = sitesOf(model, latents);
  expectCover(coded, latentWindow(model, sites, level), model.latentChannels, 'latents');
  if (!contains(sites, pixels))
    throw new RequestError(
      `Expected pixels inside ${JSON.stringify(sites)} but received ${JSON.stringify(pixels)}`,
    );
}

/** Throws RequestError unless there is one error for each sample of `pixels`. */
export function expectErrors(errors: Int16Array, { height, width }: Rect): Int16Array {
  if (errors.length !== 3 * height * width)
    throw new RequestError(`Expected ${3 * height * width} errors of samples but received ${errors.length}`);
  return errors;
}

/**
 * Whether it is the engine that has failed at a call with these arguments. A caller who gives up may do so with any reason, an EngineError too, and the
 * engine rejects with that.
 */
export function hasFailed(error: unknown, call: readonly unknown[]): error is EngineError {
  const signal = call.at(-1) as Partial<AbortSignal> | undefined;
  return isLiifError(error, 'EngineError') && error !== signal?.reason;
}

function contains(outer: Rect, inner: Rect): boolean {
  return (
    outer.top <= inner.top &&
    outer.left <= inner.left &&
    outer.top + outer.height >= inner.top + inner.height &&
    outer.left + outer.width >= inner.left + inner.width
  );
}

/** The parts of a reduction with the feature maps that an engine keeps behind those it has given. `inner` is called for all of them at once. */
export function withInnerMaps<M extends FeatureMap>(
  parts: readonly GridPart[],
  inner: (map: FeatureMap) => M | Promise<M>,
): Promise<(SamplePart | (FeaturePart & { readonly features: M }))[]> {
  return Promise.all(
    parts.map(async (part) =>
      'features' in part ? { ...part, features: await inner(part.features) } : part,
    ),
  );
}

/** Throws UnsupportedError when the model came without what encoding needs. */
export function expectEncoder({ analysis }: Model): void {
  if (analysis.length === 0)
    throw new UnsupportedError('The model was loaded for decoding alone: it cannot encode');
}

/** In the place of calls that only encoders need, where their code is not. */
export async function refuseEncoding(): Promise<never> {
  throw new UnsupportedError('Nothing is encoded here');
}
