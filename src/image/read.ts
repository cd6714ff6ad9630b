import { constants } from 'node:buffer';
import { access, constants as modes, readFile, stat } from 'node:fs/promises';
import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { kindOf, RequestError, SourceError, UnsupportedError } from '../errors.ts';
import { pathOf } from '../file-url.ts';
import { bytesOfBuffer, givenOptions } from '../given.ts';
import { ImageError } from './errors.ts';
import { uprightExif } from './exif.ts';
import { heicAsTiff } from './heic.ts';
import { inSrgb } from './in-srgb.ts';
import { withParts } from './parts.ts';
import { isPremultiplied, unpremultiply } from './premultiplied.ts';
import { asSixteenBits, type ColorPlan, colorsOf } from './profiled.ts';
import { depthOf, type Raster } from './raster.ts';
import { isGray, unreadableSamples } from './sample-types.ts';
import { convertByShaper } from './shaper.ts';
import { loadSharp } from './sharp.ts';
import { explained, MAX_PIXELS, tooManyPixels } from './sharp-errors.ts';
import { isHdr, unknownColors } from './stated-colors.ts';
import { tiffDirectory, unreadableTiff } from './tiff-directory.ts';
import { uprightXmp } from './xmp.ts';

/** A picture of any format that sharp reads, as the codec wants it. */
export interface ReadImage {
  /** Upright, sRGB or Display P3, 8 or 16 bits a sample as in the source; gray stays gray, alpha stays alpha. */
  readonly raster: Raster;
  /** Bits of the source's samples. */
  readonly depth: 8 | 16;
  /** As sharp names it: `jpeg`, `png`, `webp`, `tiff`, `heif`, `gif`, `svg`, ... */
  readonly format: string;
  /** As the source had it, except that EXIF and XMP say "upright": the rotation they asked for has been carried out. */
  readonly metadata: ImageMetadata;
  /** What was odd about the source and has been put up with, e.g. an ICC profile that cannot be used. */
  readonly warnings: readonly string[];
}

/** What an image file carries beside its pixels. */
export interface ImageMetadata {
  /** The profile that the file had: samples may have been converted since. */
  readonly icc?: Uint8Array;
  /** From the byte order mark on, without the `Exif\0\0` of JPEG. Not of a TIFF. */
  readonly exif?: Uint8Array;
  readonly xmp?: Uint8Array;
}

/** How an image is read. */
export interface ReadOptions {
  /** For messages, where the image is not a file: e.g. `standard input`. */
  readonly name?: string;
  /** Larger pictures are refused with UnsupportedError before they are decoded. Default 2^32. Memory is one copy of the samples, and up to three of a HEIC. */
  readonly maxPixels?: number;
  /** Reads damaged images as far as they go, instead of refusing them. Default false. */
  readonly tolerant?: boolean;
  /** Converts every image to sRGB. Default false: colors beyond it (Display P3, Adobe RGB, ...) are kept, in Display P3. */
  readonly srgb?: boolean;
  /** Whether `metadata` is wanted: warns of what is there and cannot be had, the EXIF of a TIFF. Default false. */
  readonly needsMetadata?: boolean;
  /** Looked at between steps: what sharp has begun, it finishes. */
  readonly signal?: AbortSignal;
}

/** An image: the path or `file:` URL of its file, or its bytes. */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | Blob;

const IN_EIGHT_BITS = 'is read in 8 bits a sample';
const MAX_SVG_BYTES = 64 * 2 ** 20;
/** Of a byte of DEFLATE, which is what pixels of a PNG are in. */
const MOST_PNG_BYTES = 1032;

/**
 * Reads an image from a file or from memory. EXIF orientation is applied and color converted by the embedded profile, by what stands in for one (`gAMA` of a PNG, Adobe RGB by EXIF), or, CMYK without one, by a generic
 * profile: to sRGB, or, from RGB of wider primaries, to Display P3. Of animations and documents the first picture is read, and of an SVG
 * nothing that lies beside it. Rejects with SourceError (no
 * such file), UnsupportedError (no format that sharp reads, or too large), ImageError, or the signal's reason.
 */
export async function readImage(image: ImageInput, given: ReadOptions = {}): Promise<ReadImage> {
  const options = givenOptions(given);
  const { signal } = options;
  signal?.throwIfAborted();
  const sharp = await loadSharp();
  let input = await pathOrBytes(image);
  const name = options.name ?? (typeof input === 'string' ? input : 'the image');
  if (typeof input === 'string') await checkFile(input);
  else if (input.length === 0) throw new ImageError(`${name}: is empty`);
  const warnings: string[] = [];
  const sharpOptions: SharpOptions = {
    limitInputPixels: options.maxPixels ?? MAX_PIXELS,
    failOn: options.tolerant ? 'none' : 'warning',
    autoOrient: true,
  };
  const open = (more: SharpOptions = {}) =>
    sharp(input, { ...sharpOptions, ...more }).on('warning', (message: unknown) =>
      warnings.push(String(message)),
    );
  try {
    // sharp would leave the file open, and on Windows nobody could remove it.
    if (typeof input === 'string' && /\.webp$/i.test(input)) input = await readFile(input);
    let metadata = await open().metadata();
    signal?.throwIfAborted();
    if (metadata.format === 'svg' && typeof input === 'string') {
      // Of a file, others of its folder would be drawn into the picture that it names.
      input = await readSvg(input);
      metadata = await open().metadata();
    }
    if (options.tolerant && metadata.format === 'png') await expectPngPixels(metadata, input, name);
    const { pages = 1 } = metadata;
    if (pages > 1) warnings.push(`has ${pages} pictures; only the first is read`);
    if (metadata.format === 'tiff') {
      const directory = await withParts(input, tiffDirectory);
      const problem = unreadableTiff(directory, metadata);
      if (problem) throw new UnsupportedError(`${name}: ${problem}`);
      if (directory.exif && options.needsMetadata)
        warnings.push('has EXIF, which cannot be carried from a TIFF; save it as JPEG or PNG to keep that');
    }
    const { plan: colors, codes } = await colorsOf(input, metadata, options.srgb ?? false);
    const unknown = codes && (metadata.icc === undefined || isHdr(codes)) && unknownColors(codes);
    if (unknown) warnings.push(unknown);
    if (metadata.space === 'cmyk' && metadata.depth !== 'uchar') warnings.push(IN_EIGHT_BITS);
    const premultiplied = metadata.format === 'heif' && metadata.hasAlpha && (await isPremultiplied(input));
    let samples = metadata;
    if (metadata.compression === 'hevc') {
      expectPixels(metadata, name, options);
      if ((metadata.bitsPerSample ?? 8) > 8) warnings.push(IN_EIGHT_BITS);
      const bytes = typeof input === 'string' ? await readFile(input) : input;
      input = await heicAsTiff(bytes, metadata, name, signal);
      samples = await open().metadata();
    }
    const raster = await decode(open({ ignoreIcc: !colors.converts }), samples, colors, name);
    signal?.throwIfAborted();
    if (premultiplied) await unpremultiply(raster, signal);
    if (colors.shaper) await convertByShaper(raster, colors.shaper, colors.colorSpace, signal);
    return {
      raster: options.srgb ? await inSrgb(raster, signal) : raster,
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

async function decode(
  image: Sharp,
  metadata: Metadata,
  { colorSpace, converts }: ColorPlan,
  name: string,
): Promise<Raster> {
  const { channels, space, depth, hasAlpha } = metadata;
  const problem = unreadableSamples(metadata);
  if (problem) throw new UnsupportedError(`${name}: ${problem}`);
  // What sharp converts by the profile of a CMYK image has 8 bits.
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
  // Without a profile that would bend true sRGB samples.
  if (wide && !gray && converts) asSixteenBits(image);
  else if (wide) {
    image.toColorspace(gray ? 'grey16' : 'rgb16').raw({ depth: 'ushort' });
  } else {
    // sharp drops the alpha of raw gray output; from RGBA it is taken back below.
    image.toColorspace(gray && !hasAlpha ? 'b-w' : 'srgb').raw({ depth: 'uchar' });
  }
  const { data: buffer, info } = await image.toBuffer({ resolveWithObject: true });
  const data = wide
    ? new Uint16Array(buffer.buffer, buffer.byteOffset, buffer.length / 2)
    : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  const found = data.length / (info.width * info.height);
  if (found === bands)
    return {
      width: info.width,
      height: info.height,
      channels: bands,
      data,
      ...(colorSpace !== 'srgb' && { colorSpace }),
    };
  if (found < bands || !gray) throw otherChannels(found, bands, gray, name);
  return { width: info.width, height: info.height, channels: bands, data: grayOf(data, found, hasAlpha) };
}

/** Which of them is alpha, sharp does not say. */
function otherChannels(found: number, expected: number, gray: boolean, name: string): UnsupportedError {
  return new UnsupportedError(
    `${name}: ${found} channels where ${expected} were expected; convert the image to ${gray ? 'gray' : 'RGB'} first`,
  );
}

/** First channel, and the last one where there is alpha. */
function grayOf<T extends Uint8Array | Uint16Array>(data: T, channels: number, hasAlpha: boolean): T {
  const kept = hasAlpha ? 2 : 1;
  let o = 0;
  // Written over the front of the same buffer: the output never passes the input.
  for (let i = 0; i < data.length; i += channels) {
    data[o++] = data[i]!;
    if (hasAlpha) data[o++] = data[i + channels - 1]!;
  }
  return data.slice(0, (data.length / channels) * kept) as T;
}

function metadataOf({ icc, exif, xmp, orientation = 1, format }: Metadata): ImageMetadata {
  // A HEIC says by other means how it lies.
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
  // The same memory: sharp takes no classes made of it.
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
    if (found.isDirectory()) throw new SourceError(`${path}: is a directory`);
    if (found.isFile() && found.size === 0) throw new ImageError(`${path}: is empty`);
    // sharp would call it no image.
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

/** Who puts up with damage gets the picture that the header says, however little is there of it. Rejects with ImageError for more than the bytes can hold. */
async function expectPngPixels(
  { width, height }: Metadata,
  input: string | Uint8Array,
  name: string,
): Promise<void> {
  const found = typeof input === 'string' ? await stat(input) : undefined;
  if (found && !found.isFile()) return;
  const size = found?.size ?? (input as Uint8Array).length;
  // Of one bit at least.
  if (width * height > 8 * MOST_PNG_BYTES * size)
    throw new ImageError(
      `${name}: has ${size} bytes, too few for the ${width} x ${height} pixels that its header says`,
    );
}

/** sharp looks at that when it decodes. Throws UnsupportedError. */
function expectPixels({ width, height }: Metadata, name: string, options: ReadOptions): void {
  if (width * height > (options.maxPixels ?? MAX_PIXELS)) throw tooManyPixels(name, options);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
