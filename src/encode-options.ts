import { MEASURES, type Measure } from './analysis/sample-errors.ts';
import {
  CHUNK_SIZE_MULTIPLE,
  MAX_CHUNK_SIZE,
  MAX_LEVELS,
  MAX_QUALITY,
  MAX_SECTION_TYPE_LENGTH,
  MIN_CHUNK_SIZE,
} from './container/layout.ts';
import type { CallOptions } from './decode.ts';
import { RequestError, shown } from './errors.ts';
import { expectListener, expectObject, givenOptions } from './given.ts';

/** Bytes that travel with the picture and that the codec does not look at. Spec 1.3. */
export interface AncillarySections {
  /** An ICC profile, for who wants the source's; decoded colors are those that `colorSpace` states. */
  readonly icc?: Uint8Array;
  /** The `Exif\0\0` of JPEG, which sharp gives too, is left out. */
  readonly exif?: Uint8Array;
  /** The packet, XML in UTF-8. */
  readonly xmp?: Uint8Array;
  /** UTF-8. */
  readonly text?: Uint8Array;
}

/** How a picture is encoded. */
export interface EncodeOptions extends CallOptions {
  /** 1 (smallest file) to 100 (closest picture); default 60. */
  readonly quality?: number;
  /** Instead of a quality: the best picture in at most so many bytes. */
  readonly targetSize?: number;
  /**
   * Instead of a quality: the smallest file with at least this PSNR, in dB, over all samples as they show: gray, color and alpha. Small and flat pictures, whose
   * PSNR does not rise with every quality, may have a smaller one, since few qualities are tried.
   */
  readonly targetPsnr?: number;
  /**
   * Improves latents by gradient descent for the one picture: a better picture in about the same bytes at the same quality, and so a smaller file for the
   * same likeness at a lower quality or by a target. false (default), true, which takes 4 steps, or their number up to 100; each takes about twice as long as
   * encoding.
   */
  readonly optimize?: boolean | number;
  /** What likeness is when optimizing: `ms-ssim`, which is nearer to what eyes see, or `psnr`. Default `ms-ssim`, or `psnr` for a target PSNR. */
  readonly optimizeFor?: Measure;
  /** Reduced copies for quick views of large pictures: true (default) down to at most 1024 pixels, false for none, or their number. */
  readonly overviews?: boolean | number;
  /** Reduction from one level to the next; default 4. */
  readonly overviewFactor?: 2 | 4;
  /**
   * Latents on the side of a chunk, a multiple of 8 from 8 to 64. Default 32, that is 512 pixels, and 16 for pictures of more than 8 megapixels:
   * a region of them needs half the bytes and half the decoding, for about one percent of the file.
   */
  readonly chunkSize?: number;
  /** Keeps the colors of fully transparent pixels; by default they take those of their surroundings, which saves bits and fringes. */
  readonly keepHiddenColors?: boolean;
  /** Bits of the source's samples as the file states them; default those of the raster. */
  readonly depth?: 8 | 16;
  readonly sections?: AncillarySections;
}

/** `givenOptions`, of which each is checked. Throws RequestError for those out of their range, and several where one is meant. */
export function givenEncodeOptions<T extends EncodeOptions>(given: T): T {
  const options = givenOptions(given);
  const { targetPsnr, optimizeFor, sections } = options;
  const targets = [options.quality, options.targetSize, targetPsnr].filter((value) => value !== undefined);
  if (targets.length > 1)
    throw new RequestError('Give one of quality, target size and target PSNR, not several');
  const whole = (name: string, value: number | undefined, low: number, high: number, multiple = 1) => {
    if (
      value !== undefined &&
      !(Number.isInteger(value) && value >= low && value <= high && value % multiple === 0)
    )
      throw new RequestError(
        `Expected a ${name} of ${low} to ${high}${multiple > 1 ? `, a multiple of ${multiple},` : ''} but received ${shown(value)}`,
      );
  };
  whole('quality', options.quality, 1, MAX_QUALITY);
  whole('target size', options.targetSize, 1, Number.MAX_SAFE_INTEGER);
  whole('chunk size', options.chunkSize, MIN_CHUNK_SIZE, MAX_CHUNK_SIZE, CHUNK_SIZE_MULTIPLE);
  if (options.depth !== undefined && options.depth !== 8 && options.depth !== 16)
    throw new RequestError(`Expected a depth of 8 or 16 but received ${shown(options.depth)}`);
  if (typeof options.overviews !== 'boolean')
    whole('number of overviews', options.overviews, 0, MAX_LEVELS - 1);
  if (options.overviewFactor !== undefined && options.overviewFactor !== 2 && options.overviewFactor !== 4)
    throw new RequestError(
      `Expected an overview factor of 2 or 4 but received ${shown(options.overviewFactor)}`,
    );
  if (targetPsnr !== undefined && !(typeof targetPsnr === 'number' && targetPsnr > 0 && targetPsnr < 100))
    throw new RequestError(`Expected a target PSNR between 0 and 100 dB but received ${shown(targetPsnr)}`);
  if (optimizeFor !== undefined && !MEASURES.includes(optimizeFor))
    throw new RequestError(
      `Expected to optimize for ${MEASURES.join(' or ')} but received ${shown(optimizeFor)}`,
    );
  if (typeof options.optimize !== 'boolean') whole('number of optimizing steps', options.optimize, 0, 100);
  expectListener(options.onProgress, 'onProgress');
  if (sections == null) return options;
  expectObject(sections, 'sections');
  for (const [type, bytes] of Object.entries(sections)) if (bytes !== undefined) checkSection(type, bytes);
  return { ...options, sections: { ...sections } };
}

/** Spec 1.3. */
function checkSection(type: string, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array))
    throw new RequestError(`Expected the bytes of the ${type} section in a Uint8Array`);
  const { length } = new TextEncoder().encode(type);
  if (length < 1 || length > MAX_SECTION_TYPE_LENGTH)
    throw new RequestError(
      `Expected the type of a section in 1 to ${MAX_SECTION_TYPE_LENGTH} bytes but received ${shown(type)}`,
    );
  if (type !== 'text') return;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new RequestError('Expected the text section in UTF-8', { cause });
  }
}
