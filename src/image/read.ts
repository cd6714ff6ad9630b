import { constants } from 'node:buffer';
import { access, constants as modes, readFile, stat } from 'node:fs/promises';
import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { kindOf, RequestError, SourceError, UnsupportedError } from '../errors.ts';
import { pathOf } from '../file-url.ts';
import { bytesOfBuffer, givenOptions } from '../given.ts';
import { unpremultiply } from './alpha/premultiplied.ts';
import { type ColorPlan, colorPlan } from './color/plan.ts';
import { convertByShaper } from './color/shaper.ts';
import { ImageError } from './errors.ts';
import { heicAsTiff } from './heic.ts';
import { uprightExif } from './metadata/exif.ts';
import { isPremultiplied } from './metadata/heif.ts';
import { withParts } from './metadata/parts.ts';
import { tiffDirectory, unreadableTiff } from './metadata/tiff-directory.ts';
import { uprightXmp } from './metadata/xmp.ts';
import { depthOf, type Raster } from './raster.ts';
import { isGray, readSamples, unreadableSamples } from './samples.ts';
import { loadSharp } from './sharp.ts';
import { explained, MAX_PIXELS, tooManyPixels } from './sharp-errors.ts';

/** An image file as pixels and metadata. */
export interface ReadImage {
  /**
   * The upright picture in sRGB or Display P3, with the depth of the source; gray stays gray, alpha stays
   * alpha.
   */
  readonly raster: Raster;
  /** Bits of a sample of the source. */
  readonly depth: 8 | 16;
  /** The format as sharp names it: `jpeg`, `png`, `webp`, `tiff`, `heif`, `gif`, `svg`, ... */
  readonly format: string;
  /**
   * Metadata of the source. EXIF and XMP say "upright", since the rotation that they ask for has been carried
   * out.
   */
  readonly metadata: ImageMetadata;
  /** What was odd about the source and has been ignored, e.g. an ICC profile that cannot be used. */
  readonly warnings: readonly string[];
}

/** What an image file carries beside its pixels. */
export interface ImageMetadata {
  /** The ICC profile of the file. The samples that were read may be in another color space. */
  readonly icc?: Uint8Array;
  /** The EXIF block from its byte order mark on, without the `Exif\0\0` of JPEG. Absent for a TIFF. */
  readonly exif?: Uint8Array;
  /** The XMP packet: XML, usually in UTF-8. */
  readonly xmp?: Uint8Array;
}

/** How an image is read. */
export interface ReadOptions {
  /** Name of the image in messages, where it is not a file: e.g. `standard input`. */
  readonly name?: string;
  /**
   * Larger images are refused with UnsupportedError before they are decoded. Default 2^32. Reading takes one
   * copy of the samples, and up to three for a HEIC.
   */
  readonly maxPixels?: number;
  /** Reads a damaged image as far as it goes instead of refusing it. Default false. */
  readonly tolerant?: boolean;
  /**
   * Converts every image to sRGB. Default false: wider colors (Display P3, Adobe RGB, ...) are kept, in
   * Display P3.
   */
  readonly srgb?: boolean;
  /**
   * Whether `metadata` is wanted: then `warnings` names metadata that cannot be read, the EXIF of a TIFF.
   * Default false.
   */
  readonly needsMetadata?: boolean;
  /** Aborts the call between its steps; sharp finishes a step that it has begun. */
  readonly signal?: AbortSignal;
}

/** An image: the path or `file:` URL of its file, or the bytes of the file. */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | Blob;

const IN_EIGHT_BITS = 'is read in 8 bits a sample';
const MAX_SVG_BYTES = 64 * 2 ** 20;
/** Most bytes that a byte of DEFLATE, the compression of PNG, can stand for. */
const MOST_PNG_BYTES = 1032;

/**
 * Reads an image from a file or from memory.
 *
 * - The EXIF orientation is applied.
 * - Colors are converted to sRGB, or, from RGB with wider primaries, to Display P3: by the embedded profile,
 *   by what stands in for one (`gAMA` of a PNG, Adobe RGB by EXIF), or, for CMYK without a profile, by a
 *   generic one.
 * - Of an animation or a document the first picture is read.
 * - Files beside an SVG are not drawn into it.
 *
 * Rejects with SourceError (no such file), UnsupportedError (a format that sharp does not read, or too many
 * pixels), ImageError (damaged), or the signal's reason.
 *
 * @example
 * const { raster, warnings } = await readImage('photo.jpg');
 */
export async function readImage(image: ImageInput, given: ReadOptions = {}): Promise<ReadImage> {
  const options = givenOptions(given);
  const { signal } = options;
  signal?.throwIfAborted();
  const opened = await openedImage(image, options);
  const { name, warnings } = opened;
  try {
    const metadata = await describe(opened);
    signal?.throwIfAborted();
    const colors = await colorPlan(opened.input, metadata, options.srgb ?? false);
    if (colors.warning) warnings.push(colors.warning);
    if (metadata.space === 'cmyk' && metadata.depth !== 'uchar') warnings.push(IN_EIGHT_BITS);
    const premultiplied =
      metadata.format === 'heif' && metadata.hasAlpha && (await isPremultiplied(opened.input));
    const samples = metadata.compression === 'hevc' ? await decodeHeic(opened, metadata) : metadata;
    const raster = await decode(opened.open({ ignoreIcc: !colors.converts }), samples, colors, name);
    signal?.throwIfAborted();
    if (premultiplied) await unpremultiply(raster, signal);
    if (colors.shaper) await convertByShaper(raster, colors.shaper, colors.colorSpace, signal);
    return {
      raster,
      depth: depthOf(raster),
      format: metadata.format,
      metadata: metadataOf(metadata),
      warnings: [...new Set(warnings)],
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, name, options);
  }
}

/** An image that is being read. */
interface OpenedImage {
  /** A path, or all bytes. */
  input: string | Uint8Array;
  readonly name: string;
  readonly options: ReadOptions;
  readonly warnings: string[];
  /** `input` in sharp. */
  open(more?: SharpOptions): Sharp;
}

async function openedImage(image: ImageInput, options: ReadOptions): Promise<OpenedImage> {
  const sharp = await loadSharp();
  const input = await pathOrBytes(image);
  const name = options.name ?? (typeof input === 'string' ? input : 'the image');
  if (typeof input === 'string') await checkFile(input);
  else if (input.length === 0) throw new ImageError(`${name}: is empty`);
  const sharpOptions: SharpOptions = {
    limitInputPixels: options.maxPixels ?? MAX_PIXELS,
    failOn: options.tolerant ? 'none' : 'warning',
    autoOrient: true,
  };
  const opened: OpenedImage = {
    input,
    name,
    options,
    warnings: [],
    open: (more) =>
      sharp(opened.input, { ...sharpOptions, ...more }).on('warning', (message: unknown) =>
        opened.warnings.push(String(message)),
      ),
  };
  return opened;
}

/**
 * What sharp says of an image. Reads files into memory that sharp should not read by itself. Rejects for what
 * is not decoded.
 */
async function describe(opened: OpenedImage): Promise<Metadata> {
  const { name, options, warnings } = opened;
  // sharp would keep the file open, and Windows does not remove open files.
  if (typeof opened.input === 'string' && /\.webp$/i.test(opened.input))
    opened.input = await readFile(opened.input);
  let metadata = await opened.open().metadata();
  options.signal?.throwIfAborted();
  if (metadata.format === 'svg' && typeof opened.input === 'string') {
    // From a path, sharp would draw other files of the folder that the SVG names.
    opened.input = await readSvg(opened.input);
    metadata = await opened.open().metadata();
  }
  if (options.tolerant && metadata.format === 'png') await expectPngPixels(metadata, opened.input, name);
  const { pages = 1 } = metadata;
  if (pages > 1) warnings.push(`has ${pages} pictures; only the first is read`);
  if (metadata.format === 'tiff') {
    const directory = await withParts(opened.input, tiffDirectory);
    const problem = unreadableTiff(directory, metadata);
    if (problem) throw new UnsupportedError(`${name}: ${problem}`);
    if (directory.exif && options.needsMetadata)
      warnings.push('has EXIF, which cannot be carried from a TIFF; save it as JPEG or PNG to keep that');
  }
  return metadata;
}

/** Puts a TIFF in the place of a HEIC. Resolves with what sharp says of the TIFF. */
async function decodeHeic(opened: OpenedImage, metadata: Metadata): Promise<Metadata> {
  const { input, name, options, warnings } = opened;
  // sharp checks this only when it decodes.
  if (metadata.width * metadata.height > (options.maxPixels ?? MAX_PIXELS))
    throw tooManyPixels(name, options);
  if ((metadata.bitsPerSample ?? 8) > 8) warnings.push(IN_EIGHT_BITS);
  const bytes = typeof input === 'string' ? await readFile(input) : input;
  opened.input = await heicAsTiff(bytes, metadata, name, options.signal);
  return opened.open().metadata();
}

async function decode(
  image: Sharp,
  metadata: Metadata,
  { colorSpace, converts }: ColorPlan,
  name: string,
): Promise<Raster> {
  const { channels, space, depth, hasAlpha } = metadata;
  const problem = unreadableSamples(metadata);
  if (problem) throw new UnsupportedError(`${name}: ${problem}`);
  // sharp converts CMYK to 8 bits only.
  const wide = depth !== 'uchar' && space !== 'cmyk';
  const gray = isGray(metadata);
  const bands = gray ? (hasAlpha ? 2 : 1) : hasAlpha ? 4 : 3;
  if (channels > bands && space !== 'cmyk') throw otherChannels(channels, bands, gray, name);
  const width = metadata.autoOrient.width;
  const height = metadata.autoOrient.height;
  const bytes = width * height * (gray && hasAlpha ? 4 : bands) * (wide ? 2 : 1);
  if (bytes > constants.MAX_LENGTH)
    throw new UnsupportedError(
      `${name}: ${width} x ${height} pixels of ${channels} channels need ${gigabytes(bytes)}, more than the ${gigabytes(constants.MAX_LENGTH)} that one raster can have`,
    );
  const raster = await readSamples(image, {
    // Gray of 8 bits with alpha is read as RGBA.
    gray: gray && (wide || !hasAlpha),
    wide,
    converts: converts && !gray,
  });
  const found = raster.channels;
  if (found === bands) return colorSpace === 'srgb' ? raster : { ...raster, colorSpace };
  if (found < bands || !gray) throw otherChannels(found, bands, gray, name);
  return { ...raster, channels: bands, data: grayOf(raster.data, found, hasAlpha) };
}

/** Refuses further channels: sharp does not say which of them is alpha. */
function otherChannels(found: number, expected: number, gray: boolean, name: string): UnsupportedError {
  return new UnsupportedError(
    `${name}: ${found} channels where ${expected} were expected; convert the image to ${gray ? 'gray' : 'RGB'} first`,
  );
}

/** The first channel, and the last one where there is alpha. */
function grayOf<T extends Uint8Array | Uint16Array>(data: T, channels: number, hasAlpha: boolean): T {
  const kept = hasAlpha ? 2 : 1;
  let o = 0;
  // Written over the front of the same buffer, where the output never overtakes the input.
  for (let i = 0; i < data.length; i += channels) {
    data[o++] = data[i]!;
    if (hasAlpha) data[o++] = data[i + channels - 1]!;
  }
  return data.slice(0, (data.length / channels) * kept) as T;
}

function metadataOf({ icc, exif, xmp, orientation = 1, format }: Metadata): ImageMetadata {
  // A HEIC states its rotation outside of EXIF.
  const turned = orientation > 1 || format === 'heif';
  return {
    ...(icc && { icc }),
    ...(exif && { exif: uprightExif(exif) }),
    ...(xmp && { xmp: turned ? uprightXmp(xmp) : xmp }),
  };
}

async function pathOrBytes(image: ImageInput): Promise<string | Uint8Array> {
  if (image instanceof Blob) return new Uint8Array(await image.arrayBuffer());
  if (image instanceof ArrayBuffer) return bytesOfBuffer(image);
  const [remote] = typeof image === 'string' ? (/^https?:(?=\/\/)/i.exec(image) ?? []) : [];
  if (remote) throw notFetched(remote);
  if (typeof image === 'string') return pathOf(image);
  // The same memory: sharp refuses subclasses of Uint8Array other than Buffer.
  if (image instanceof Uint8Array) return new Uint8Array(image.buffer, image.byteOffset, image.length);
  if (!(image instanceof URL))
    throw new RequestError(
      `Expected an image as a path, URL, Uint8Array, ArrayBuffer or Blob but received ${kindOf(image)}`,
    );
  if (image.protocol !== 'file:') throw notFetched(image.protocol);
  return pathOf(image);
}

function notFetched(protocol: string): RequestError {
  return new RequestError(`Expected the URL of a file but received ${protocol}; fetch the image first`);
}

async function checkFile(path: string): Promise<void> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new SourceError(`${path}: is a directory; name a file in it`);
    if (found.isFile() && found.size === 0) throw new ImageError(`${path}: is empty`);
    // sharp would say that it is not an image.
    await access(path, modes.R_OK);
  } catch (cause) {
    if (cause instanceof SourceError || cause instanceof ImageError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : message;
    throw new SourceError(`${path}: ${reason}`, { cause });
  }
}

async function readSvg(path: string): Promise<Uint8Array> {
  const { size } = await stat(path);
  if (size > MAX_SVG_BYTES)
    throw new UnsupportedError(
      `${path}: an SVG of ${size} bytes, where at most ${MAX_SVG_BYTES} are read; save it as PNG`,
    );
  return readFile(path);
}

/**
 * A tolerant reader reserves the picture that a header states, however little follows. Rejects with
 * ImageError for more pixels than the bytes can hold.
 */
async function expectPngPixels(
  { width, height }: Metadata,
  input: string | Uint8Array,
  name: string,
): Promise<void> {
  const found = typeof input === 'string' ? await stat(input) : undefined;
  if (found && !found.isFile()) return;
  const size = found?.size ?? (input as Uint8Array).length;
  // A pixel has at least one bit.
  if (width * height > 8 * MOST_PNG_BYTES * size)
    throw new ImageError(
      `${name}: has ${size} bytes, too few for the ${width} x ${height} pixels that its header says`,
    );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
