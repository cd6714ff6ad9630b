import { type EngineError, isLiifError, RequestError, UnsupportedError } from '../errors.ts';
import { type BackNetwork, backNetwork, type ChunkNetwork } from '../network/back-network.ts';
import type { Model } from '../network/model.ts';
import { extentAfter, latentWindow, sitesOf } from '../network/window.ts';
import type { Extent, FeatureMap, FeaturePart, GridPart, Patch, Rect, SamplePart } from './engine.ts';

/** Checks of arguments that all engines make, so that all refuse the same calls in the same words. */

/** Throws RequestError. */
export function expectQuality({ qualities }: Model, quality: number): void {
  if (!(Number.isInteger(quality) && quality >= 1 && quality <= qualities))
    throw new RequestError(`Expected a quality from 1 to ${qualities} but received ${quality}`);
}

/**
 * Throws RequestError unless `patch` has so many channels and covers all of `window`. `what`: the patch, in
 * the message.
 */
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
 * The network that a call of `backpropagate` runs. Throws RequestError for arguments that do not fit it, and
 * what `backNetwork` throws.
 */
export function expectBackpropagation(
  model: Model,
  network: ChunkNetwork,
  input: Int16Array,
  extent: Extent,
  derivatives: Int16Array,
): BackNetwork {
  expectEncoder(model);
  const back = backNetwork(model, network);
  const { height, width } = extentAfter(back.layers, extent);
  const expected = [extent.height * extent.width * back.input.limits.length, height * width * back.outputs];
  if (input.length !== expected[0] || derivatives.length !== expected[1])
    throw new RequestError(
      `Expected ${expected[0]} inputs and ${expected[1]} derivatives but received ${input.length} and ${derivatives.length}`,
    );
  for (let i = 0; i < derivatives.length; i++)
    if (Math.abs(derivatives[i]!) > back.limit)
      throw new RequestError(`Expected derivatives of at most ${back.limit} but received ${derivatives[i]}`);
  return back;
}

/**
 * Whether a call with these arguments has rejected because the engine failed (EngineError). A caller may
 * abort with an EngineError as the reason, and the call rejects with it: that is no failure of the engine.
 * The last argument is the signal, if any.
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

/**
 * The parts of a reduction with each feature map replaced by `inner` of it: the map that an engine keeps
 * behind the one it has given out. `inner` is called for all maps before any is waited for.
 */
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

/** Throws UnsupportedError for a model that was loaded without the tensors that encoding needs. */
export function expectEncoder({ analysis }: Model): void {
  if (analysis.length === 0)
    throw new UnsupportedError('The model was loaded for decoding alone: it cannot encode');
}

/**
 * Stands for the calls that only encoders need where their code is left out, as in pages. Rejects with
 * UnsupportedError.
 */
export async function refuseEncoding(): Promise<never> {
  throw new UnsupportedError('Nothing is encoded here');
}
