import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import type { Sharp } from 'sharp';
import type { ColorSpace } from '../color-space.ts';
import { RequestError } from '../errors.ts';
import { pathOf } from '../file-url.ts';
import { expectListener, expectObject, givenOptions } from '../given.ts';
import { AtomicFile, unwritable, writeAtomically } from './atomic-file.ts';
import { profileOf } from './color/profile.ts';
import { toSrgb } from './color/to-srgb.ts';
import { OutputError } from './errors.ts';
import { expectHolds, formatFor, type ImageFormat, qualityOf } from './formats.ts';
import { type KeptMetadata, metadataFor } from './metadata/kept.ts';
import { pngPieces } from './png.ts';
import { type Channels, depthOf, expectRaster, expectSamples, hasAlpha, type Raster } from './raster.ts';
import { loadSharp } from './sharp.ts';
import { DENSITY, tiffPieces, tiffToFill } from './tiff.ts';

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
  /**
   * 1 to 100, for JPEG (default 90; above 90 with colors in full resolution, 4:4:4), WebP (default 90) and
   * AVIF (default 70).
   */
  readonly quality?: number;
  /**
   * Converts Display P3 to sRGB, clipping wider colors. Default false: colors are kept, with their profile.
   */
  readonly srgb?: boolean;
  /**
   * EXIF, from its byte order mark on, and XMP to write into the image, e.g. sections of a .liif file or what
   * `readImage` has found. They say "upright" there. Left out, with a warning, where the format has no place
   * for them: raw, EXIF in a TIFF, more than 64 KiB. Default: none.
   */
  readonly metadata?: KeptMetadata;
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

const MEMORY_BYTES = 256 * 2 ** 20;
/** The default of 4 takes many times as long and saves a few percent. */
const AVIF_EFFORT = 2;
/**
 * Up to this quality, the default, a JPEG has half as many columns and rows of color (4:2:0). Halved colors
 * would hide what a higher quality asks for.
 */
const JPEG_HALVED_COLORS = 90;
/**
 * For larger pictures no optimized Huffman tables: libjpeg would hold the coefficients of the whole picture
 * in memory.
 */
const JPEG_TWO_PASS_PIXELS = 64e6;

/**
 * Writes an image file, with the profile of its color space: a path or `file:` URL, under which it appears
 * when it is complete. Large pictures in bands are written in bounded memory, through a temporary file (raw:
 * without one); the encoders of WebP and AVIF need the whole picture in memory.
 *
 * Rejects with RequestError (what the format cannot hold), OutputError (the file cannot be written), or what
 * the bands reject with.
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
  const format = formatFor(path, options);
  const picture = pictureOf(image, format, options);
  const { bytes } = await writeAtomically(path, async (file) => {
    if (format === 'raw') {
      for await (const samples of samplesOf(picture, options.signal)) await file.write(samples);
    } else {
      const output = { name: file.path, folder: dirname(file.temporary) };
      await withSharp(picture, format, options, output, (pipeline) => pipeline.toFile(file.temporary));
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
  return bytesOf(pictureOf(image, format, options), format, options);
}

/**
 * Writes an image file into a stream, e.g. standard output: raw samples band by band, other formats when they
 * are complete. The stream stays open. Rejects as `writeImage` does, and with OutputError where the stream
 * accepts no more.
 */
export async function writeImageTo(
  image: Raster | ImageBands,
  stream: Writable,
  format: ImageFormat,
  given: WriteOptions = {},
): Promise<WriteSummary> {
  const options = givenWriteOptions(given);
  const picture = pictureOf(image, format, options);
  let bytes = 0;
  const put = (part: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      bytes += part.length;
      stream.write(part, (error) => (error ? reject(unwritable('the stream', error)) : resolve()));
    });
  if (format === 'raw') for await (const samples of samplesOf(picture, options.signal)) await put(samples);
  else await put(await bytesOf(picture, format, options));
  return { format, bytes };
}

async function bytesOf(picture: Picture, format: ImageFormat, options: WriteOptions): Promise<Uint8Array> {
  if (format === 'raw') return joined(samplesOf(picture, options.signal));
  const output = { name: 'the image', folder: tmpdir() };
  return withSharp(picture, format, options, output, (pipeline) => pipeline.toBuffer());
}

async function joined(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/**
 * Gathers the bands into a TIFF, or a PNG where there is metadata, in memory or in a temporary file of
 * `folder`, and hands it to sharp. `name`: of the output, for messages.
 */
async function withSharp<T>(
  picture: Picture,
  format: Exclude<ImageFormat, 'raw'>,
  options: WriteOptions,
  { name, folder }: { readonly name: string; readonly folder: string },
  finish: (pipeline: Sharp) => Promise<T>,
): Promise<T> {
  const { width, height, channels, depth, colorSpace, metadata } = picture;
  const icc = channels >= 3 && { icc: await profileOf(colorSpace) };
  const shape = { width, height, channels, depth, ...icc };
  const length = width * height * channels * (depth / 8);
  const samples = samplesOf(picture, options.signal);
  const input = async (image: Uint8Array | string) =>
    run(await pipelineOf(image, picture, format, options), finish, name, options);
  if (length <= (options.memoryBytes ?? MEMORY_BYTES)) {
    if (metadata) return input(await joined(pngPieces({ ...shape, ...metadata }, samples)));
    const { tiff, samples: room } = tiffToFill(shape);
    let offset = 0;
    for await (const part of samples) {
      room.set(part, offset);
      offset += part.length;
    }
    return input(tiff);
  }
  // Beside the output, where there is room for large files; temporary folders are often in memory.
  const file = await AtomicFile.temporary(folder);
  try {
    const pieces = metadata ? pngPieces({ ...shape, ...metadata }, samples) : tiffPieces(shape, samples);
    for await (const piece of pieces) await file.write(piece);
    return await input(file.temporary);
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
  image: Uint8Array | string,
  { width, height, channels, depth, metadata }: Picture,
  format: Exclude<ImageFormat, 'raw'>,
  { onWarning, ...options }: WriteOptions,
): Promise<Sharp> {
  const gray = channels <= 2;
  const quality = options.quality ?? qualityOf(format);
  // `keepIccProfile`: the profile of the input is attached to the output, and nothing is converted.
  const sharp = await loadSharp();
  const pipeline = sharp(image, { limitInputPixels: false, unlimited: true })
    .keepIccProfile()
    .toColorspace(depth === 16 ? (gray ? 'grey16' : 'rgb16') : gray ? 'b-w' : 'srgb');
  if (metadata?.exif) pipeline.keepExif();
  if (metadata?.xmp) pipeline.keepXmp();
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

function givenWriteOptions(given: WriteOptions): WriteOptions {
  expectListener(given?.onWarning, 'onWarning');
  return givenOptions(given);
}

/** A picture in bands, in the color space in which it is written, and what is written with it. */
interface Picture extends ImageBands {
  readonly metadata: KeptMetadata | undefined;
}

/** Throws RequestError for what the format cannot hold. */
function pictureOf(
  image: Raster | ImageBands,
  format: ImageFormat,
  { srgb, quality, metadata, onWarning = () => {} }: WriteOptions,
): Picture {
  expectObject(image, 'picture');
  if (!('bands' in image)) expectRaster(image);
  const bands = 'bands' in image ? image : { ...image, depth: depthOf(image), bands: [image] };
  expectHolds(format, bands, quality);
  const { width, height, channels, depth, colorSpace } = bands;
  return {
    width,
    height,
    channels,
    depth,
    ...(srgb
      ? { colorSpace: 'srgb', bands: convertedBands(bands) }
      : { bands: bands.bands, ...(colorSpace && { colorSpace }) }),
    metadata: metadataFor(format, metadata ?? {}, onWarning),
  };
}

async function* convertedBands({ bands, colorSpace }: ImageBands): AsyncGenerator<Raster> {
  for await (const band of bands) yield toSrgb({ ...band, ...(colorSpace && { colorSpace }) });
}

/**
 * Bytes of the samples of each band. Rejects with RequestError unless each has the shape of the picture, and
 * all together have its rows.
 */
async function* samplesOf(image: ImageBands, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
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
    const { buffer, byteOffset, byteLength } = band.data;
    yield new Uint8Array(buffer, byteOffset, byteLength);
  }
  if (rows !== image.height)
    throw new RequestError(`The bands have ${rows} rows where the picture has ${image.height}`);
}
