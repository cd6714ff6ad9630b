import { stat } from 'node:fs/promises';
import sharp, { type Metadata, type Sharp } from 'sharp';
import type { ColorSpace } from '../../../color-space.ts';
import { SourceError } from '../../../errors.ts';
import { LeasedCache } from '../../../features/leased-cache.ts';
import { compare, divide, toRational } from '../../../head/rational.ts';
import { type ColorPlan, colorPlan } from '../../../image/color/plan.ts';
import { convertByShaper } from '../../../image/color/shaper.ts';
import { ImageError } from '../../../image/errors.ts';
import { withParts } from '../../../image/metadata/parts.ts';
import { tiffDirectory, unreadableTiff } from '../../../image/metadata/tiff-directory.ts';
import { channelsOf, type Raster } from '../../../image/raster.ts';
import { isGray, readSamples, toEightBits, unreadableSamples } from '../../../image/samples.ts';
import type { RenderQuery } from '../../../pixels/render.ts';
import { PictureChanged, Problem } from '../../problem.ts';
import type { Estimate, ServedPicture } from '../picture.ts';
import { readWhole, type WholeFile } from '../whole-file.ts';
import { copied, windowOf } from './resample.ts';
import type { ResamplePool } from './resample-pool.ts';
import { halved, shrunk } from './shrink.ts';

export const PLAIN_EXTENSIONS = ['png', 'jpg', 'jpeg', 'tif', 'tiff', 'webp'] as const;
const PLAIN_FORMATS = ['png', 'jpeg', 'tiff', 'webp'];
/** Pixels that are decoded in a millisecond of a core, roughly. */
const DECODED_PIXELS = 50_000;
/** Bytes that are read and hashed in a millisecond of a core, roughly. */
const READ_BYTES = 300_000;
/** Memory of all levels as a multiple of the first: a third more, and some for odd sides. */
const ALL_LEVELS = 1.35;

export interface PlainOptions {
  /** Decoded levels of all plain pictures. */
  readonly levels: PlainLevels;
  readonly resampling: ResamplePool;
  /** Waits until an image may be opened or decoded, with so much work and so many bytes beside the cache. Resolves with what to call afterwards. */
  readonly admit: (
    lane: 'open' | 'decode',
    work: number,
    bytes: number,
    signal: AbortSignal,
  ) => Promise<() => void>;
  readonly maxPixels: number;
  readonly maxFileBytes: number;
}

/** Decoded levels of all plain pictures, bounded together. The levels of a single picture are kept in any case. */
export class PlainLevels extends LeasedCache<Raster> {
  readonly #bound: { maxBytes: number };

  constructor(maxBytes: number) {
    const bound = { maxBytes, sizeOf: (raster: Raster) => raster.data.byteLength };
    super(bound);
    this.#bound = bound;
  }

  /** Raises the bound to so many bytes if it is lower. Otherwise levels that are used together would push each other out. */
  allow(bytes: number): void {
    this.#bound.maxBytes = Math.max(this.#bound.maxBytes, bytes);
  }
}

/**
 * Opens a PNG, JPEG, TIFF or WebP. The file is read whole, and again whenever its pixels have left the cache; if it has changed by then, calls of the
 * picture reject with PictureChanged. Rejects with Problem, SourceError, ImageError, or the signal's reason.
 */
export async function openPlainPicture(
  path: string,
  options: PlainOptions,
  signal: AbortSignal,
): Promise<ServedPicture> {
  const { size } = await stat(path).catch((cause: Error) => {
    throw new SourceError(`${path}: ${cause.message}`, { cause });
  });
  // Each file that is being opened is in memory.
  const leave = await options.admit('open', size / READ_BYTES, 0, signal);
  try {
    return await pictureOf(path, await readWhole(path, options.maxFileBytes), options);
  } finally {
    leave();
  }
}

async function pictureOf(path: string, file: WholeFile, options: PlainOptions): Promise<ServedPicture> {
  let metadata: Metadata;
  try {
    metadata = await decoder(file.bytes, options).metadata();
  } catch (cause) {
    throw undecodable(path, cause, options);
  }
  if (!PLAIN_FORMATS.includes(metadata.format))
    throw unsupported('The plain images served here are PNG, JPEG, TIFF and WebP.');
  const problem =
    (metadata.format === 'tiff' && unreadableTiff(await withParts(file.bytes, tiffDirectory), metadata)) ||
    unreadableSamples(metadata);
  if (problem) throw unsupported(`The image cannot be served: ${problem}.`);
  if (decodedChannels(metadata) > 4)
    throw unsupported('The image has channels beside its colors and alpha; convert it to RGB first.');
  const { width, height } = metadata.autoOrient;
  if (width * height > options.maxPixels) throw tooManyPixels(options);
  const plan = await colorPlan(file.bytes, metadata, false);
  return new PlainPicture(path, file, width, height, metadata, plan, options);
}

class PlainPicture implements ServedPicture {
  readonly kind = 'image';
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly alpha: boolean;
  readonly colorSpace?: ColorSpace;
  readonly bytes: number;
  readonly heldBytes = 0;
  readonly identity: string;
  readonly cacheName: string;
  readonly facts: Readonly<Record<string, string | number>>;
  readonly #colors: ColorPlan;
  readonly #gray: boolean;
  readonly #sixteenBits: boolean;
  readonly #path: string;
  readonly #options: PlainOptions;

  constructor(
    path: string,
    file: WholeFile,
    width: number,
    height: number,
    metadata: Metadata,
    colors: ColorPlan,
    options: PlainOptions,
  ) {
    this.#path = path;
    this.#options = options;
    this.width = width;
    this.height = height;
    this.#gray = isGray(metadata);
    // Gray with alpha is decoded as RGB: sharp drops the alpha of raw gray.
    this.channels = this.#gray && metadata.channels === 1 ? 1 : 3;
    this.alpha = metadata.hasAlpha;
    this.#colors = colors;
    this.#sixteenBits = metadata.depth === 'ushort';
    if (this.#colors.colorSpace !== 'srgb') this.colorSpace = this.#colors.colorSpace;
    this.bytes = file.bytes.length;
    this.identity = file.hash;
    // The hash covers all bytes, so equal files may share what is kept.
    this.cacheName = file.hash;
    this.facts = { format: metadata.format, ...(this.colorSpace && { colorSpace: this.colorSpace }) };
  }

  estimate(query: RenderQuery): Estimate {
    const pixels = query.width * query.height;
    return { bytes: pixels * 8, work: pixels / 10_000 };
  }

  preparing(query: RenderQuery): Estimate {
    const level = this.#levelOf(query);
    if (this.#options.levels.has(this.#key(level))) return { bytes: 0, work: 0 };
    const samples = (this.width * this.height * channelsOf(this)) / 4 ** level;
    return { bytes: samples, work: this.#decodingWork };
  }

  async prepare(query: RenderQuery, signal: AbortSignal): Promise<void> {
    const lease = await this.#level(this.#levelOf(query), signal);
    lease.release();
  }

  async render(query: RenderQuery, signal: AbortSignal): Promise<Raster> {
    const level = this.#levelOf(query);
    const lease = await this.#level(level, signal);
    try {
      const { value: raster } = lease;
      const reduction = 2n ** BigInt(level);
      const small = shrunk(raster, level, query);
      if (small) return await small;
      const copy = copied(raster, reduction, query);
      if (copy) return copy;
      return await this.#options.resampling.run(
        { source: windowOf(raster, reduction, query), reduction, query },
        signal,
      );
    } finally {
      lease.release();
    }
  }

  async getBytes(offset: number, length: number): Promise<Uint8Array> {
    const file = await this.#read();
    return file.subarray(offset, offset + length);
  }

  async close(): Promise<void> {}

  #key(level: number): string {
    return `${this.identity}/${level}`;
  }

  get #decodingWork(): number {
    return (this.width * this.height) / DECODED_PIXELS;
  }

  /** The samples exist twice, here and in libvips. Samples of 16 bits are twice as large, and their 8 bits come on top. */
  get #decodingBytes(): number {
    const samples = this.width * this.height * channelsOf(this);
    return samples * (this.#sixteenBits ? 5 : 2);
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
      2 ** level < Math.max(this.width, this.height)
    )
      level++;
    return level;
  }

  #level(level: number, signal: AbortSignal): ReturnType<LeasedCache<Raster>['lease']> {
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

  /** Decodes when it is this picture's turn, and makes room for its levels: without it, each tile would decode the file again. */
  async #admitted(signal: AbortSignal): Promise<Raster> {
    const leave = await this.#options.admit('decode', this.#decodingWork, this.#decodingBytes, signal);
    try {
      const raster = await this.#decode(signal);
      this.#options.levels.allow(raster.data.byteLength * ALL_LEVELS);
      return raster;
    } finally {
      leave();
    }
  }

  async #decode(signal: AbortSignal): Promise<Raster> {
    const file = await this.#read();
    try {
      const { colorSpace, converts, shaper } = this.#colors;
      const image = decoder(file, this.#options, !converts).autoOrient();
      const wide = this.#sixteenBits && (shaper !== undefined || (converts && !this.#gray));
      const raster = await readSamples(image, { gray: this.channels === 1, wide, converts });
      if (shaper) await convertByShaper(raster, shaper, colorSpace, signal);
      return wide ? await toEightBits(raster, signal) : raster;
    } catch (cause) {
      signal.throwIfAborted();
      throw undecodable(this.#path, cause, this.#options);
    }
  }

  async #read(): Promise<Uint8Array> {
    let file: WholeFile;
    try {
      file = await readWhole(this.#path, this.#options.maxFileBytes);
    } catch (cause) {
      throw new PictureChanged('the file is gone or cannot be read', { cause });
    }
    if (file.hash !== this.identity) throw new PictureChanged('the file has been replaced');
    return file.bytes;
  }
}

function decoder(file: Uint8Array, options: PlainOptions, ignoreIcc = false): Sharp {
  return sharp(file, { limitInputPixels: options.maxPixels, failOn: 'error', ignoreIcc });
}

/** The error for a file that sharp does not decode, because it is damaged or too large. */
function undecodable(path: string, cause: unknown, options: PlainOptions): Error {
  const { message } = cause as Error;
  if (/pixel limit/i.test(message)) return tooManyPixels(options);
  return new ImageError(`${path}: the image cannot be decoded: ${message}`, { cause });
}

function tooManyPixels({ maxPixels }: PlainOptions): Problem {
  return unsupported(`Plain images served here have at most ${maxPixels} pixels.`);
}

function unsupported(detail: string): Problem {
  return new Problem(501, 'unsupported-file', detail);
}

/** Channels after conversion to RGB or gray. */
function decodedChannels(metadata: Metadata): number {
  const { channels, space } = metadata;
  if (isGray(metadata)) return channels === 1 ? 1 : channels + 2;
  return space === 'cmyk' ? channels - 1 : channels;
}
