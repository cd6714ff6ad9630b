import sharp, { type Sharp } from 'sharp';
import { type Lease, LeasedCache } from '../../../features/leased-cache.ts';
import { compare, divide, toRational } from '../../../head/rational.ts';
import type { ColorPlan } from '../../../image/color/plan.ts';
import { convertByShaper } from '../../../image/color/shaper.ts';
import { ImageError } from '../../../image/errors.ts';
import { channelsOf, cropped, type Raster } from '../../../image/raster.ts';
import { readSamples, toEightBits } from '../../../image/samples.ts';
import type { RenderQuery } from '../../../pixels/render.ts';
import { PictureChanged, Problem } from '../../problem.ts';
import type { Estimate } from '../picture.ts';
import { readWhole } from '../whole-file.ts';
import { wholeWindow, windowOf } from './resample.ts';
import type { ResamplePool } from './resample-pool.ts';
import { halved, isLargeReduction, shrunk } from './shrink.ts';

/** Pixels that are decoded in a millisecond of a core, roughly. */
const DECODED_PIXELS = 50_000;
/** Memory of all levels as a multiple of the first: a third more, and some for odd sides. */
const ALL_LEVELS = 1.35;

export interface PlainOptions {
  /** Decoded levels of all plain pictures. */
  readonly levels: PlainLevels;
  readonly resampling: ResamplePool;
  /**
   * Waits until an image may be opened or decoded, with so much work and so many bytes beside the cache.
   * Resolves with what to call afterwards.
   */
  readonly admit: (
    lane: 'open' | 'decode',
    work: number,
    bytes: number,
    signal: AbortSignal,
  ) => Promise<() => void>;
  readonly maxPixels: number;
  readonly maxFileBytes: number;
}

/**
 * Decoded levels of all plain pictures, bounded together. The levels of a single picture are kept in any
 * case.
 */
export class PlainLevels extends LeasedCache<Raster> {
  readonly #bound: { maxBytes: number };

  constructor(maxBytes: number) {
    const bound = { maxBytes, sizeOf: (raster: Raster) => raster.data.byteLength };
    super(bound);
    this.#bound = bound;
  }

  /**
   * Raises the bound to so many bytes if it is lower. Otherwise levels that are used together would push each
   * other out.
   */
  allow(bytes: number): void {
    this.#bound.maxBytes = Math.max(this.#bound.maxBytes, bytes);
  }
}

/** What the file of a plain picture holds. */
export interface PlainImage {
  readonly path: string;
  /** Of `readWhole`. */
  readonly hash: string;
  /** Of the upright picture. */
  readonly width: number;
  readonly height: number;
  /** As decoded: gray with alpha is decoded as RGB, since sharp drops the alpha of raw gray. */
  readonly channels: 1 | 3;
  readonly alpha: boolean;
  /** Whether the samples of the file are gray, with alpha or without. */
  readonly gray: boolean;
  readonly sixteenBits: boolean;
  readonly colors: ColorPlan;
}

/** Decodes a plain picture, and keeps it at its own size and halved again and again. */
export class PlainDecoder {
  readonly #image: PlainImage;
  readonly #options: PlainOptions;

  constructor(image: PlainImage, options: PlainOptions) {
    this.#image = image;
    this.#options = options;
  }

  /** As `ServedPicture.preparing`. */
  preparing(query: RenderQuery): Estimate {
    const level = this.#levelOf(query);
    if (this.#options.levels.has(this.#key(level))) return { bytes: 0, work: 0 };
    return { bytes: this.#samples / 4 ** level, work: this.#decodingWork };
  }

  /** As `ServedPicture.prepare`. */
  async prepare(query: RenderQuery, signal: AbortSignal): Promise<void> {
    const lease = await this.#level(this.#levelOf(query), signal);
    lease.release();
  }

  /** As `ServedPicture.render`. */
  async render(query: RenderQuery, signal: AbortSignal): Promise<Raster> {
    const level = this.#levelOf(query);
    const lease = await this.#level(level, signal);
    try {
      const { value: raster } = lease;
      const reduction = 2n ** BigInt(level);
      const window = wholeWindow(query, reduction, raster);
      if (window?.width === query.width && window.height === query.height) return cropped(raster, window);
      if (window && isLargeReduction(query, window)) return await shrunk(raster, window, query);
      return await this.#options.resampling.run(
        { source: windowOf(raster, reduction, query), reduction, query },
        signal,
      );
    } finally {
      lease.release();
    }
  }

  /** The bytes of the file. Rejects with PictureChanged if they are not those that it was opened with. */
  async read(): Promise<Uint8Array> {
    const { path, hash } = this.#image;
    const file = await readWhole(path, this.#options.maxFileBytes).catch((cause: unknown) => {
      throw new PictureChanged('the file is gone or cannot be read', { cause });
    });
    if (file.hash !== hash) throw new PictureChanged('the file has been replaced');
    return file.bytes;
  }

  #key(level: number): string {
    return `${this.#image.hash}/${level}`;
  }

  /** Of the first level. */
  get #samples(): number {
    return this.#image.width * this.#image.height * channelsOf(this.#image);
  }

  get #decodingWork(): number {
    return (this.#image.width * this.#image.height) / DECODED_PIXELS;
  }

  /** Halvings after which a pixel of the query covers one to two samples. */
  #levelOf(query: RenderQuery): number {
    const { region } = query;
    const stepX = divide(toRational(region.width), toRational(query.width));
    const stepY = divide(toRational(region.height), toRational(query.height));
    const smaller = compare(stepX, stepY) < 0 ? stepX : stepY;
    let level = 0;
    while (
      compare(toRational(2n ** BigInt(level + 1)), smaller) <= 0 &&
      2 ** level < Math.max(this.#image.width, this.#image.height)
    )
      level++;
    return level;
  }

  #level(level: number, signal: AbortSignal): Promise<Lease<Raster>> {
    return this.#options.levels.lease(
      this.#key(level),
      async (shared) => {
        if (level === 0) return this.#admitted(shared);
        const finer = await this.#level(level - 1, shared);
        try {
          return await halved(finer.value);
        } finally {
          finer.release();
        }
      },
      signal,
    );
  }

  /**
   * Decodes when it is this picture's turn, and makes room for its levels: without it, each tile would decode
   * the file again.
   */
  async #admitted(signal: AbortSignal): Promise<Raster> {
    // The samples exist twice, here and in libvips. Samples of 16 bits are twice as large, and their 8 bits
    // come on top.
    const bytes = this.#samples * (this.#image.sixteenBits ? 5 : 2);
    const leave = await this.#options.admit('decode', this.#decodingWork, bytes, signal);
    try {
      const raster = await this.#decode(signal);
      this.#options.levels.allow(raster.data.byteLength * ALL_LEVELS);
      return raster;
    } finally {
      leave();
    }
  }

  async #decode(signal: AbortSignal): Promise<Raster> {
    const { path, channels, gray, sixteenBits, colors } = this.#image;
    const { colorSpace, converts, shaper } = colors;
    const file = await this.read();
    try {
      const image = opened(file, this.#options, !converts).autoOrient();
      const wide = sixteenBits && (shaper !== undefined || (converts && !gray));
      const raster = await readSamples(image, { gray: channels === 1, wide, converts });
      if (shaper) await convertByShaper(raster, shaper, colorSpace, signal);
      return wide ? await toEightBits(raster, signal) : raster;
    } catch (cause) {
      signal.throwIfAborted();
      throw undecodable(path, cause, this.#options);
    }
  }
}

/** The file of a plain picture in sharp. */
export function opened(file: Uint8Array, { maxPixels }: PlainOptions, ignoreIcc = false): Sharp {
  return sharp(file, { limitInputPixels: maxPixels, failOn: 'error', ignoreIcc });
}

/** The error for a file that sharp does not decode, because it is damaged or too large. */
export function undecodable(path: string, cause: unknown, options: PlainOptions): Error {
  const { message } = cause as Error;
  if (/pixel limit/i.test(message)) return tooManyPixels(options);
  return new ImageError(`${path}: the image cannot be decoded: ${message}`, { cause });
}

export function tooManyPixels({ maxPixels }: PlainOptions): Problem {
  return unsupported(`Plain images served here have at most ${maxPixels} pixels.`);
}

export function unsupported(detail: string): Problem {
  return new Problem(501, 'unsupported-file', detail);
}
