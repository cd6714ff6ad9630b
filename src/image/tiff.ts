/**
 * Just enough BigTIFF to hand bands of samples to sharp, in memory or through a file, with a profile and
 * without limits of 4 GiB.
 */

import { endianness } from 'node:os';

/** The samples of a picture, and the profile of their colors. */
export interface SampleShape {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly depth: 8 | 16;
  readonly icc?: Uint8Array;
}

const STRIP_BYTES = 2 ** 18;
/** Field types: TIFF 6.0 and the BigTIFF design. libtiff takes LONG8 for all numbers. */
const BYTE = 1;
const LONG8 = 16;
/**
 * Pixels to an inch, as other images have that say nothing: sharp would write that a pixel is a millimeter
 * large.
 */
export const DENSITY = 72;
const INCH = 2;

/** Everything before the samples, which follow row by row, interleaved, in the byte order of this machine. */
export function tiffHeader(shape: SampleShape): Uint8Array {
  const { width, height, channels, depth, icc } = shape;
  const color = channels >= 3 ? 3 : 1;
  const rowBytes = width * channels * (depth / 8);
  const rowsPerStrip = Math.max(1, Math.min(height, Math.floor(STRIP_BYTES / rowBytes)));
  const strips = Math.ceil(height / rowsPerStrip);
  const offsets = new BigUint64Array(strips);
  const lengths = BigUint64Array.from({ length: strips }, (_, i) =>
    BigInt(Math.min(rowsPerStrip, height - i * rowsPerStrip) * rowBytes),
  );
  const fields: [tag: number, values: BigUint64Array | Uint8Array][] = [
    [256, numbers(width)],
    [257, numbers(height)],
    [258, new BigUint64Array(channels).fill(BigInt(depth))],
    [259, numbers(1)], // no compression
    [262, numbers(color === 3 ? 2 : 1)], // RGB, or black is zero
    [273, offsets], // below, when the length of the header is known
    [277, numbers(channels)],
    [278, numbers(rowsPerStrip)],
    [279, lengths],
    [282, numbers(DENSITY)],
    [283, numbers(DENSITY)],
    [284, numbers(1)], // interleaved
    [296, numbers(INCH)],
  ];
  if (channels > color) fields.push([338, numbers(2)]); // alpha, not premultiplied
  fields.push([339, new BigUint64Array(channels).fill(1n)]); // unsigned
  if (icc) fields.push([34675, icc]);

  const directory = 16;
  const directoryEnd = directory + 8 + 20 * fields.length + 8;
  const isInline = ({ byteLength }: { byteLength: number }) => byteLength <= 8;
  let length = directoryEnd;
  for (const [, values] of fields) if (!isInline(values)) length += Math.ceil(values.byteLength / 8) * 8;
  for (let i = 0; i < strips; i++) offsets[i] = BigInt(length + i * rowsPerStrip * rowBytes);

  const bytes = new Uint8Array(length);
  const put = (at: number, { buffer, byteOffset, byteLength }: ArrayBufferView) =>
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
  put(0, Uint16Array.of(endianness() === 'LE' ? 0x4949 : 0x4d4d, 43, 8, 0));
  put(8, numbers(directory, fields.length));
  let at = directory + 8;
  let data = directoryEnd;
  for (const [tag, values] of fields) {
    put(at, Uint16Array.of(tag, values instanceof Uint8Array ? BYTE : LONG8));
    put(at + 4, numbers(values.length, data));
    put(isInline(values) ? at + 12 : data, values);
    if (!isInline(values)) data += Math.ceil(values.byteLength / 8) * 8;
    at += 20;
  }
  return bytes;
}

function numbers(...values: readonly number[]): BigUint64Array {
  return BigUint64Array.from(values, BigInt);
}

/** The bytes of a TIFF, piece by piece: its header, and `samples` as they are. */
export async function* tiffPieces(
  shape: SampleShape,
  samples: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield tiffHeader(shape);
  yield* samples;
}

/** A TIFF with room for its samples, which are to be written there. */
export function tiffToFill(shape: SampleShape): {
  readonly tiff: Uint8Array<ArrayBuffer>;
  readonly samples: Uint8Array;
} {
  const header = tiffHeader(shape);
  const { width, height, channels, depth } = shape;
  const tiff = new Uint8Array(header.length + width * height * channels * (depth / 8));
  tiff.set(header);
  return { tiff, samples: tiff.subarray(header.length) };
}
