import { stat } from 'node:fs/promises';
import type { Metadata } from 'sharp';
import { SourceError } from '../../../errors.ts';
import { colorPlan } from '../../../image/color/plan.ts';
import { withParts } from '../../../image/metadata/parts.ts';
import { tiffDirectory, unreadableTiff } from '../../../image/metadata/tiff-directory.ts';
import { isGray, unreadableSamples } from '../../../image/samples.ts';
import type { ServedPicture } from '../picture.ts';
import { readWhole, type WholeFile } from '../whole-file.ts';
import {
  opened,
  PlainDecoder,
  type PlainOptions,
  tooManyPixels,
  undecodable,
  unsupported,
} from './plain-decoder.ts';

/** Endings of names, in lower case, without the dot. */
export const PLAIN_EXTENSIONS: readonly string[] = ['png', 'jpg', 'jpeg', 'tif', 'tiff', 'webp'];
const PLAIN_FORMATS = ['png', 'jpeg', 'tiff', 'webp'];
/** Bytes that are read and hashed in a millisecond of a core, roughly. */
const READ_BYTES = 300_000;

/**
 * Opens a PNG, JPEG, TIFF or WebP. The file is read whole, and again whenever its pixels have left the cache;
 * if it has changed by then, calls of the picture reject with PictureChanged. Rejects with Problem,
 * SourceError, ImageError, or the signal's reason.
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
  const { bytes, hash } = file;
  const metadata = await opened(bytes, options)
    .metadata()
    .catch((cause: unknown) => {
      throw undecodable(path, cause, options);
    });
  await expectServed(metadata, bytes, options);
  const { width, height } = metadata.autoOrient;
  const gray = isGray(metadata);
  const channels = gray && metadata.channels === 1 ? 1 : 3;
  const alpha = metadata.hasAlpha;
  const colors = await colorPlan(bytes, metadata, false);
  const colorSpace = colors.colorSpace !== 'srgb' && { colorSpace: colors.colorSpace };
  const sixteenBits = metadata.depth === 'ushort';
  const decoder = new PlainDecoder(
    { path, hash, width, height, channels, alpha, gray, sixteenBits, colors },
    options,
  );
  return {
    kind: 'image',
    width,
    height,
    channels,
    alpha,
    ...colorSpace,
    bytes: bytes.length,
    heldBytes: 0,
    // The hash covers all bytes, so equal files may share what is kept.
    identity: hash,
    cacheName: hash,
    facts: { format: metadata.format, ...colorSpace },
    estimate: (query) => {
      const pixels = query.width * query.height;
      return { bytes: pixels * 8, work: pixels / 10_000 };
    },
    preparing: (query) => decoder.preparing(query),
    prepare: (query, signal) => decoder.prepare(query, signal),
    render: (query, signal) => decoder.render(query, signal),
    getBytes: async (offset, length) => (await decoder.read()).subarray(offset, offset + length),
    close: async () => {},
  };
}

/** Rejects with Problem for an image that the server does not decode. */
async function expectServed(metadata: Metadata, bytes: Uint8Array, options: PlainOptions): Promise<void> {
  if (!PLAIN_FORMATS.includes(metadata.format))
    throw unsupported('The plain images served here are PNG, JPEG, TIFF and WebP.');
  const problem =
    (metadata.format === 'tiff' && unreadableTiff(await withParts(bytes, tiffDirectory), metadata)) ||
    unreadableSamples(metadata);
  if (problem) throw unsupported(`The image cannot be served: ${problem}.`);
  if (decodedChannels(metadata) > 4)
    throw unsupported('The image has channels beside its colors and alpha; convert it to RGB first.');
  const { width, height } = metadata.autoOrient;
  if (width * height > options.maxPixels) throw tooManyPixels(options);
}

/** Channels after conversion to RGB or gray. */
function decodedChannels(metadata: Metadata): number {
  const { channels, space } = metadata;
  if (isGray(metadata)) return channels === 1 ? 1 : channels + 2;
  return space === 'cmyk' ? channels - 1 : channels;
}
