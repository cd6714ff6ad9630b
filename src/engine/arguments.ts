import { RequestError, UnsupportedError } from '../errors.ts';
import type { Model } from '../network/model.ts';
import type { FeatureMap, FeaturePart, GridPart, Patch, Rect, SamplePart } from './engine.ts';

/** How engines look at what they are called with: what each of them refuses, in the same words. */

/** Throws RequestError. */
export function expectQuality({ qualities }: Model, quality: number): void {
  if (!(Number.isInteger(quality) && quality >= 1 && quality <= qualities))
    throw new RequestError(`Expected a quality from 1 to ${qualities} but received ${quality}`);
}

/** Throws RequestError when `patch`, which is called `what`, does not hold all of `window`. */
export function expectCover(patch: Patch, window: Rect, channels: number, what: string): void {
  const { rect } = patch;
  const covers =
    rect.top <= window.top &&
    rect.left <= window.left &&
    rect.top + rect.height >= window.top + window.height &&
    rect.left + rect.width >= window.left + window.width;
  if (!covers || patch.channels !== channels)
    throw new RequestError(
      `Expected ${what} of ${channels} channels over ${JSON.stringify(window)} but received ${patch.channels} over ${JSON.stringify(rect)}`,
    );
}

/** The parts of a reduction with the feature maps that an engine keeps behind those it has given. Throws what `inner` throws. */
export function withInnerMaps<M extends FeatureMap>(
  parts: readonly GridPart[],
  inner: (map: FeatureMap) => M,
): (SamplePart | (FeaturePart & { readonly features: M }))[] {
  return parts.map((part) => ('features' in part ? { ...part, features: inner(part.features) } : part));
}

/** Throws UnsupportedError when the model came without what encoding needs. */
export function expectEncoder({ analysis }: Model): void {
  if (analysis.length === 0)
    throw new UnsupportedError('The model was loaded for decoding alone: it cannot encode');
}
