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

/** Steps of `optimize: true`. */
const OPTIMIZING_STEPS = 8;

/** Sections that a file carries beside the picture; the codec does not look at their bytes. Spec 1.3. */
export interface AncillarySections {
  /**
   * The ICC profile of the source, for information: decoded samples are in the `colorSpace` of the header.
   */
  readonly icc?: Uint8Array;
  /** An EXIF block. A leading `Exif\0\0`, as in JPEG, is removed. */
  readonly exif?: Uint8Array;
  /** An XMP packet: XML in UTF-8. */
  readonly xmp?: Uint8Array;
  /** Any text in UTF-8. */
  readonly text?: Uint8Array;
}

/** How a picture is encoded. Give at most one of `quality`, `targetSize` and `targetPsnr`. */
export interface EncodeOptions extends CallOptions {
  /** 1 (smallest file) to 100 (closest picture). Default 60. */
  readonly quality?: number;
  /**
   * Searches for the highest quality whose file has at most this many bytes, 1 or more. Takes about four
   * encodes.
   */
  readonly targetSize?: number;
  /**
   * Searches for the lowest quality with at least this PSNR, above 0 and below 100 dB, as `psnr` measures it.
   * Takes about four encodes and decodes, and an exact engine. PSNR does not rise with every quality in small
   * and flat pictures; since few qualities are tried, a smaller file may exist for those.
   */
  readonly targetPsnr?: number;
  /**
   * Improves the latents of this one picture by gradient descent: a better picture in about the same bytes at
   * the same quality, or a smaller file by a target. The number of steps, 0 to 100; true takes 8. Each step
   * takes about twice as long as encoding. Default false.
   */
  readonly optimize?: boolean | number;
  /**
   * What `optimize` improves: `ms-ssim`, which is nearer to what eyes see, or `psnr`. Default `ms-ssim`; with
   * a target PSNR `psnr`.
   */
  readonly optimizeFor?: Measure;
  /**
   * Reduced copies for quick views of large pictures: their number, or true for as many as lead to at most
   * 1024 pixels on a side, or false for none. Default true.
   */
  readonly overviews?: boolean | number;
  /** Reduction of a side from one level to the next. Default 4. */
  readonly overviewFactor?: 2 | 4;
  /**
   * Latents on the side of a chunk, each 16 pixels: a multiple of 8 from 8 to 64. Default 32 (512 pixels),
   * and 16 for pictures of more than 8 megapixels, whose regions then need half the bytes and half the
   * decoding, for about one percent of the file.
   */
  readonly chunkSize?: number;
  /**
   * Keeps the colors of fully transparent pixels. Default false: they take the colors of their surroundings,
   * which saves bits and avoids fringes.
   */
  readonly keepHiddenColors?: boolean;
  /** Bits of a sample of the source, as the file states them. Default: those of the raster. */
  readonly depth?: 8 | 16;
  /** Sections that the file carries beside the picture. Default: none. */
  readonly sections?: AncillarySections;
}

/**
 * As `givenOptions`; checks every option, too. Throws RequestError for a value out of its range, and for more
 * than one of quality and targets.
 */
export function givenEncodeOptions<T extends EncodeOptions>(given: T): T {
  const options = givenOptions(given);
  const { targetPsnr, sections } = options;
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
  const oneOf = (what: string, value: unknown, values: readonly unknown[]) => {
    if (value !== undefined && !values.includes(value))
      throw new RequestError(`Expected ${what} ${values.join(' or ')} but received ${shown(value)}`);
  };
  oneOf('a depth of', options.depth, [8, 16]);
  if (typeof options.overviews !== 'boolean')
    whole('number of overviews', options.overviews, 0, MAX_LEVELS - 1);
  oneOf('an overview factor of', options.overviewFactor, [2, 4]);
  if (targetPsnr !== undefined && !(typeof targetPsnr === 'number' && targetPsnr > 0 && targetPsnr < 100))
    throw new RequestError(`Expected a target PSNR between 0 and 100 dB but received ${shown(targetPsnr)}`);
  oneOf('to optimize for', options.optimizeFor, MEASURES);
  if (typeof options.optimize !== 'boolean') whole('number of optimizing steps', options.optimize, 0, 100);
  expectListener(options.onProgress, 'onProgress');
  if (sections == null) return options;
  expectObject(sections, 'sections');
  for (const [type, bytes] of Object.entries(sections)) if (bytes !== undefined) checkSection(type, bytes);
  return { ...options, sections: { ...sections } };
}

/** Steps of optimization; 0 for none. */
export function stepsOf({ optimize = false }: EncodeOptions): number {
  return optimize === true ? OPTIMIZING_STEPS : Number(optimize);
}

/** What optimization improves. */
export function measureOf({ optimizeFor, targetPsnr }: EncodeOptions): Measure {
  return optimizeFor ?? (targetPsnr === undefined ? 'ms-ssim' : 'psnr');
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
