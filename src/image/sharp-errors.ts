/** sharp's messages, for people. */
import { RequestError, SourceError, UnsupportedError } from '../errors.ts';
import { ImageError } from './errors.ts';
import type { ReadOptions } from './read.ts';

/** Of an image, unless options say otherwise. */
export const MAX_PIXELS = 2 ** 32;

export function tooManyPixels(
  name: string,
  { maxPixels = MAX_PIXELS }: Pick<ReadOptions, 'maxPixels'>,
  cause?: ErrorOptions,
) {
  return new UnsupportedError(
    `${name}: has more than ${maxPixels} pixels, the limit for input images`,
    cause,
  );
}

/** sharp's messages in this library's errors. */
export function explained(error: unknown, name: string, options: ReadOptions): unknown {
  if (
    error instanceof RequestError ||
    error instanceof UnsupportedError ||
    error instanceof ImageError ||
    !(error instanceof Error)
  )
    return error;
  const reason = reasonOf(error.message);
  const cause = { cause: error };
  const unread = unreadOf(reason);
  if (unread)
    return new UnsupportedError(
      `${name}: ${unread} cannot be read; save the image as PNG, or as TIFF of 8 or 16 bits in RGB or gray, without compression or by LZW or Deflate`,
      cause,
    );
  if (/unsupported image format|no decode|not a known file format/i.test(reason))
    return new UnsupportedError(
      `${name}: not an image in a format that can be read (JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, SVG)`,
      cause,
    );
  if (/pixel limit/i.test(reason)) return tooManyPixels(name, options, cause);
  if (/permission denied|unable to open|unable to stat/i.test(reason))
    return new SourceError(`${name}: ${reason}`, cause);
  const remedy = options.tolerant ? '' : '; with tolerant it is read as far as it goes';
  return new ImageError(`${name}: the image cannot be decoded: ${reason}${remedy}`, cause);
}

/** Kinds of images that are as their format allows, by what sharp says of them. */
const UNREAD: readonly (readonly [said: RegExp, what: string])[] = [
  [/(\w+) compression support is not configured/, 'a TIFF in compression $1'],
  [/Compression scheme (\d+) .*not implemented/, 'a TIFF in compression $1'],
  [/samples_per_pixel not a whole number/, 'a TIFF of so many bits a sample'],
  [/tiff2vips: samples out of range/, 'a TIFF of so many bits a sample'],
  [/tiled separate planes/, 'a TIFF in tiles, each of one color,'],
  [/bad labq format|no known route from 'multiband'/, 'a TIFF of this color space'],
  [/JPEG data precision (\d+)/, 'a JPEG of $1 bits'],
  [/JPEG process|marker type 0xf7/, 'a JPEG of this kind'],
];

/** What it is that cannot be read, though nothing is wrong with it. */
function unreadOf(reason: string): string | undefined {
  for (const [said, what] of UNREAD) {
    const found = said.exec(reason);
    if (found) return what.replace('$1', found[1] ?? '');
  }
  return undefined;
}

/**
 * What sharp says of an image, without what it says of its own settings, and without line numbers of nothing.
 */
function reasonOf(message: string): string {
  const lines = message.split('\n').map((line) => line.trim().replace(/:$/, ''));
  const reason = lines.find((line) => line !== '' && !/treated as error/i.test(line)) ?? 'it is damaged';
  const short = /got (\d+) bytes, expected (\d+)$/.exec(reason);
  return short ? `it ends too early: ${short[1]} bytes where ${short[2]} were expected` : reason;
}
