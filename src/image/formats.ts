/** The formats that images are written in, and what each can hold. */
import { extname } from 'node:path';
import { RequestError, shown } from '../errors.ts';
import { expectShape, type Raster } from './raster.ts';

/**
 * A format that can be written. `raw`: the bare samples, row by row, interleaved, 16 bits in the byte order
 * of the machine (little-endian nearly everywhere).
 */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'avif' | 'tiff' | 'raw';

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
/** The format of a path by its ending, e.g. `photo.JPG` -> `jpeg`; undefined for other endings. */
export function formatOfPath(path: string): ImageFormat | undefined {
  const ending = extname(path).toLowerCase();
  return IMAGE_FORMATS.find((format) => FORMATS[format].endings.includes(ending));
}

/** The usual ending of a format, e.g. `jpeg` -> `.jpg`. */
export function endingOf(format: ImageFormat): string {
  return FORMATS[format].endings[0]!;
}

/**
 * The format of a file: the one that is named, or that of its ending. Throws RequestError for an unknown
 * ending, and for a quality that the format has not.
 */
export function formatFor(
  path: string,
  { format = formatOfPath(path), quality }: { readonly format?: ImageFormat; readonly quality?: number },
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

/** Default quality of a format; undefined for lossless ones. */
export function qualityOf(format: ImageFormat): number | undefined {
  return FORMATS[format].quality;
}

/** Throws RequestError for a picture, or a quality, that a format cannot hold. */
export function expectHolds(
  format: ImageFormat,
  image: Pick<Raster, 'width' | 'height' | 'channels' | 'colorSpace'> & { readonly depth: 8 | 16 },
  quality: number | undefined,
): void {
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

/** Throws RequestError. */
function checkQuality(format: ImageFormat, quality: number | undefined): void {
  const facts = factsOf(format);
  if (quality === undefined) return;
  if (facts.quality === undefined)
    throw new RequestError(`${facts.title} is lossless and has no quality; leave the quality out`);
  if (!(Number.isInteger(quality) && quality >= 1 && quality <= 100))
    throw new RequestError(`Expected a quality of 1 to 100 but received ${shown(quality)}`);
}
