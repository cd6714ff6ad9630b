import { tmpdir } from 'node:os';
import { dirname, extname } from 'node:path';
import type { Writable } from 'node:stream';
import type { Sharp } from 'sharp';
import type { ColorSpace } from '../color-space.ts';
import { RequestError, shown } from '../errors.ts';
import { pathOf } from '../file-url.ts';
import { expectListener, expectObject, givenOptions } from '../given.ts';
import { AtomicFile, unwritable, writeAtomically } from './atomic-file.ts';
import { profileOf } from './color/profile.ts';
import { toSrgb } from './color/to-srgb.ts';
import { OutputError } from './errors.ts';
import {
  type Channels,
  depthOf,
  expectRaster,
  expectSamples,
  expectShape,
  hasAlpha,
  type Raster,
} from './raster.ts';
import { loadSharp } from './sharp.ts';
import { DENSITY, tiffHeader } from './tiff.ts';

/** A format that can be written. `raw`: the bare samples, row by row, interleaved, 16 bits in the byte order of the machine (little-endian nearly everywhere). */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'avif' | 'tiff' | 'raw';

/** A picture in bands of whole rows, from top to bottom, so that it need not be in memory as a whole. */
export interface ImageBands {
  /** In pixels; that of every band. */
  readonly width: number;
  /** In pixels; the sum over all bands. */
  readonly height: number;
  /** Channels of every band. */
  readonly channels: Channels;
  /** Bits of a sample of every band. */
  readonly depth: 8 | 16;
  /** Color space of every band. Default sRGB. */
  readonly colorSpace?: ColorSpace;
  /** The bands, e.g. from `LiifImage.renderBands`. */
  readonly bands: AsyncIterable<Raster> | Iterable<Raster>;
}

/** How an image is written. */
export interface WriteOptions {
  /** Default: the format of the ending of the path. */
  readonly format?: ImageFormat;
  /** 1 to 100, for JPEG (default 90; above 90 with colors in full resolution, 4:4:4), WebP (default 90) and AVIF (default 70). */
  readonly quality?: number;
  /** Converts Display P3 to sRGB, clipping wider colors. Default false: colors are kept, with their profile. */
  readonly srgb?: boolean;
  /** Called with what could not be kept, e.g. alpha in a JPEG. */
  readonly onWarning?: (message: string) => void;
  /** Aborts the call. */
  readonly signal?: AbortSignal;
  /** Samples of more bytes than this go through a temporary file instead of memory. Default 256 MiB. */
  readonly memoryBytes?: number;
}

/** The image file that has been written. */
export interface WriteSummary {
  /** The format by options or ending. */
  readonly format: ImageFormat;
  /** Size of the file. */
  readonly bytes: number;
}

interface FormatFacts {
  readonly title: string;
  readonly endings: readonly string[];
  readonly depths: readonly (8 | 16)[];
  readonly maxSide: number;
  /** Default quality; absent for lossless formats. */
  readonly quality?: number;
}

const FORMATS: Readonly<Record<ImageFormat, FormatFacts>> = {
  png: { title: 'PNG', endings: ['.png'], depths: [8, 16], maxSide: 10_000_000 },
  // The limit of libjpeg; the format allows 65,535.
  jpeg: { title: 'JPEG', endings: ['.jpg', '.jpeg', '.jpe'], depths: [8], maxSide: 65_500, quality: 90 },
  webp: { title: 'WebP', endings: ['.webp'], depths: [8], maxSide: 16_383, quality: 90 },
  avif: { title: 'AVIF', endings: ['.avif'], depths: [8], maxSide: 16_384, quality: 70 },
  tiff: { title: 'TIFF', endings: ['.tif', '.tiff'], depths: [8, 16], maxSide: 10_000_000 },
  raw: { title: 'raw', endings: ['.raw', '.rgb', '.bin'], depths: [8, 16], maxSide: 2 ** 32 },
};

export const IMAGE_FORMATS = Object.keys(FORMATS) as readonly ImageFormat[];
const MEMORY_BYTES = 256 * 2 ** 20;
/** The default of 4 takes many times as long and saves a few percent. */
const AVIF_EFFORT = 2;
/** Up to this quality, the default, a JPEG has half as many columns and rows of color (4:2:0). Halved colors would hide what a higher quality asks for. */
const JPEG_HALVED_COLORS = 90;
/** For larger pictures no optimized Huffman tables: libjpeg would hold the coefficients of the whole picture in memory. */
const JPEG_TWO_PASS_PIXELS = 64e6;

/** The format of a path by its ending, e.g. `photo.JPG` -> `jpeg`; undefined for other endings. */
export function formatOfPath(path: string): ImageFormat | undefined {
  const ending = extname(path).toLowerCase();
  return IMAGE_FORMATS.find((format) => FORMATS[format].endings.includes(ending));
}

/** The usual ending of a format, e.g. `jpeg` -> `.jpg`. */
export function endingOf(format: ImageFormat): string {
  return FORMATS[format].endings[0]!;
}

/** The format of a file: the one that is named, or that of its ending. Throws RequestError for an unknown ending, and for a quality that the format has not. */
export function formatFor(
  path: string,
  { format = formatOfPath(path), quality }: Pick<WriteOptions, 'format' | 'quality'>,
): ImageFormat {
  if (format === undefined)
    throw new RequestError(
      `${path}: the ending names no format that can be written; use ${IMAGE_FORMATS.map(endingOf).join(', ')} or give the format`,
    );
  checkQuality(format, quality);
  return format;
}

/** Depths that a format can hold, the larger last. Throws RequestError for a name that is no format. */
export function depthsOf(format: ImageFormat): readonly (8 | 16)[] {
  return factsOf(format).depths;
}

/** Throws RequestError for a name that is no format. */
function factsOf(format: ImageFormat): FormatFacts {
  if (!IMAGE_FORMATS.includes(format))
    throw new RequestError(`Expected a format of ${IMAGE_FORMATS.join(', ')} but received ${shown(format)}`);
  return FORMATS[format];
}

/**
 * Writes an image file, with the profile of its color space: a path or `file:` URL, under which it appears when it is complete. Large pictures in bands are
 * written in bounded memory, through a temporary file (raw: without one); the encoders of WebP and AVIF need the whole picture in memory.
 *
 * Rejects with RequestError (what the format cannot hold), OutputError (the file cannot be written), or what the bands reject with.
 *
 * @example
 * await writeImage(raster, 'photo.jpg', { quality: 85 });
 */
export async function writeImage(
  image: Raster | ImageBands,
  place: string | URL,
  given: WriteOptions = {},
): Promise<WriteSummary> {
  const path = pathOf(place);
  const options = givenWriteOptions(given);
  const bands = asBands(image, options);
  const format = formatFor(path, options);
  checkWrite(bands, format, options);
  const { bytes } = await writeAtomically(path, async (file) => {
    if (format === 'raw') {
      for await (const band of inOrder(bands, options.signal)) await file.write(bytesOf(band));
    } else {
      const output = { name: file.path, folder: dirname(file.temporary) };
      await withSharp(bands, format, options, output, (pipeline) => pipeline.toFile(file.temporary));
    }
  });
  return { format, bytes };
}

/** The bytes of an image file, made in memory. Rejects as `writeImage` does. */
export async function formatImage(
  image: Raster | ImageBands,
  format: ImageFormat,
  given: WriteOptions = {},
): Promise<Uint8Array> {
  const options = givenWriteOptions(given);
  const bands = asBands(image, options);
  checkWrite(bands, format, options);
  if (format === 'raw') {
    const parts: Uint8Array[] = [];
    for await (const band of inOrder(bands, options.signal)) parts.push(bytesOf(band));
    return Buffer.concat(parts);
  }
  const output = { name: 'the image', folder: tmpdir() };
  return withSharp(bands, format, options, output, (pipeline) => pipeline.toBuffer());
}

/**
 * Writes an image file into a stream, e.g. standard output: raw samples band by band, other formats when they are complete. The stream stays open. Rejects as
 * `writeImage` does, and with OutputError where the stream accepts no more.
 */
export async function writeImageTo(
  image: Raster | ImageBands,
  stream: Writable,
  format: ImageFormat,
  given: WriteOptions = {},
): Promise<WriteSummary> {
  const options = givenWriteOptions(given);
  const bands = asBands(image, options);
  checkWrite(bands, format, options);
  let bytes = 0;
  const put = (part: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      bytes += part.length;
      stream.write(part, (error) => (error ? reject(unwritable('the stream', error)) : resolve()));
    });
  if (format === 'raw') for await (const band of inOrder(bands, options.signal)) await put(bytesOf(band));
  else await put(await formatImage(bands, format, options));
  return { format, bytes };
}

/** Gathers the bands into a TIFF, in memory or in a temporary file of `folder`, and hands it to sharp. `name`: of the output, for messages. */
async function withSharp<T>(
  image: ImageBands,
  format: Exclude<ImageFormat, 'raw'>,
  options: WriteOptions,
  { name, folder }: { readonly name: string; readonly folder: string },
  finish: (pipeline: Sharp) => Promise<T>,
): Promise<T> {
  const { width, height, channels, depth, colorSpace } = image;
  const header = tiffHeader({
    width,
    height,
    channels,
    depth,
    ...(channels >= 3 && { icc: await profileOf(colorSpace) }),
  });
  const length = header.length + width * height * channels * (depth / 8);
  if (length <= (options.memoryBytes ?? MEMORY_BYTES)) {
    const bytes = new Uint8Array(length);
    bytes.set(header);
    let offset = header.length;
    for await (const band of inOrder(image, options.signal)) {
      bytes.set(bytesOf(band), offset);
      offset += band.data.byteLength;
    }
    return run(await pipelineOf(bytes, image, format, options), finish, name, options);
  }
  // Beside the output, where there is room for large files; temporary folders are often in memory.
  const file = await AtomicFile.temporary(folder);
  try {
    await file.write(header);
    for await (const band of inOrder(image, options.signal)) await file.write(bytesOf(band));
    return await run(await pipelineOf(file.temporary, image, format, options), finish, name, options);
  } finally {
    await file.abort(); // never meant to stay
  }
}

async function run<T>(
  pipeline: Sharp,
  finish: (pipeline: Sharp) => Promise<T>,
  name: string,
  options: WriteOptions,
): Promise<T> {
  try {
    const result = await finish(pipeline);
    options.signal?.throwIfAborted();
    return result;
  } catch (error) {
    options.signal?.throwIfAborted();
    const reason = (error as Error).message.split('\n')[0]!;
    throw new OutputError(`${name}: cannot be written: ${reason}`, { cause: error });
  }
}

async function pipelineOf(
  tiff: Uint8Array | string,
  { width, height, channels, depth }: ImageBands,
  format: Exclude<ImageFormat, 'raw'>,
  { onWarning, ...options }: WriteOptions,
): Promise<Sharp> {
  const gray = channels <= 2;
  const quality = options.quality ?? FORMATS[format].quality;
  // `keepIccProfile`: the profile of the TIFF is attached to the output, and nothing is converted.
  const sharp = await loadSharp();
  const pipeline = sharp(tiff, { limitInputPixels: false, unlimited: true })
    .keepIccProfile()
    .toColorspace(depth === 16 ? (gray ? 'grey16' : 'rgb16') : gray ? 'b-w' : 'srgb');
  switch (format) {
    case 'png':
      return pipeline.png();
    case 'tiff':
      return pipeline.tiff({
        compression: 'deflate',
        predictor: 'horizontal',
        // Pixels per millimeter: sharp does not take the density from its input.
        xres: DENSITY / 25.4,
        yres: DENSITY / 25.4,
        bigtiff: width * height * channels * (depth / 8) > 2 ** 31,
      });
    case 'webp':
      return pipeline.webp({ quality });
    case 'avif':
      return pipeline.avif({ quality, effort: AVIF_EFFORT });
    case 'jpeg':
      if (hasAlpha(channels)) {
        onWarning?.('JPEG has no alpha: the picture is laid on white');
        pipeline.flatten({ background: '#ffffff' });
      }
      return pipeline.jpeg({
        quality,
        optimiseCoding: width * height <= JPEG_TWO_PASS_PIXELS,
        chromaSubsampling: quality! > JPEG_HALVED_COLORS ? '4:4:4' : '4:2:0',
      });
  }
}

function checkWrite(image: ImageBands, format: ImageFormat, { quality }: WriteOptions): void {
  const facts = factsOf(format);
  expectShape(image);
  const { width, height, depth } = image;
  if (!facts.depths.includes(depth))
    throw new RequestError(
      `${facts.title} holds 8 bits a sample, not ${depth}; ask for depth 8, or write PNG, TIFF or raw`,
    );
  if (width > facts.maxSide || height > facts.maxSide) {
    const larger = Object.values(FORMATS).filter(({ maxSide }) => maxSide >= Math.max(width, height));
    throw new RequestError(
      `${facts.title} holds at most ${facts.maxSide} pixels on a side, not ${width} x ${height}; write ${larger.map(({ title }) => title).join(' or ')}`,
    );
  }
  checkQuality(format, quality);
}

function checkQuality(format: ImageFormat, quality: number | undefined): void {
  const facts = factsOf(format);
  if (quality === undefined) return;
  if (facts.quality === undefined)
    throw new RequestError(`${facts.title} is lossless and has no quality; leave the quality out`);
  if (!(Number.isInteger(quality) && quality >= 1 && quality <= 100))
    throw new RequestError(`Expected a quality of 1 to 100 but received ${shown(quality)}`);
}

function givenWriteOptions(given: WriteOptions): WriteOptions {
  expectListener(given?.onWarning, 'onWarning');
  return givenOptions(given);
}

function asBands(image: Raster | ImageBands, options: WriteOptions): ImageBands {
  expectObject(image, 'picture');
  if (!('bands' in image)) {
    expectRaster(image);
    return asBands({ ...image, depth: depthOf(image), bands: [image] }, options);
  }
  return options.srgb ? { ...image, colorSpace: 'srgb', bands: convertedBands(image) } : image;
}

async function* convertedBands({ bands, colorSpace }: ImageBands): AsyncGenerator<Raster> {
  for await (const band of bands) yield toSrgb({ ...band, ...(colorSpace && { colorSpace }) });
}

/** The bands, checked: each has the shape of the picture, and all together have its rows. */
async function* inOrder(image: ImageBands, signal: AbortSignal | undefined): AsyncGenerator<Raster> {
  let rows = 0;
  for await (const band of image.bands) {
    signal?.throwIfAborted();
    expectSamples(band.data);
    rows += band.height;
    if (
      band.width !== image.width ||
      band.channels !== image.channels ||
      depthOf(band) !== image.depth ||
      band.data.length !== band.width * band.height * band.channels ||
      rows > image.height
    )
      throw new RequestError('A band does not have the shape of its picture');
    const { colorSpace = 'srgb' } = image;
    if (band.channels >= 3 && band.colorSpace !== undefined && band.colorSpace !== colorSpace)
      throw new RequestError(
        `A band is of ${band.colorSpace} where its picture is of ${colorSpace}; give the picture of these bands colorSpace: '${band.colorSpace}'`,
      );
    yield band;
  }
  if (rows !== image.height)
    throw new RequestError(`The bands have ${rows} rows where the picture has ${image.height}`);
}

function bytesOf({ data }: Raster): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
