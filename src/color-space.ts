import { RequestError, shown } from './errors.ts';

/**
 * What samples of red, green and blue mean: spec 1.3. `display-p3` has wider primaries (SMPTE EG 432-1) and
 * the curve and white of sRGB, so that gray is the same in both.
 */
export type ColorSpace = 'srgb' | 'display-p3';

export const COLOR_SPACES: readonly ColorSpace[] = ['srgb', 'display-p3'];

/** Throws RequestError for a color space that the codec does not know. */
export function expectColorSpace(colorSpace: unknown): void {
  if (!(COLOR_SPACES as readonly unknown[]).includes(colorSpace))
    throw new RequestError(
      `Expected a color space of ${COLOR_SPACES.join(' or ')} but received ${shown(colorSpace)}`,
    );
}
