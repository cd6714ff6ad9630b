/**
 * Just enough PNG (W3C, third edition) to hand bands of samples to sharp with EXIF and XMP, which it takes
 * from no TIFF. The samples are not compressed.
 */
import { endianness } from 'node:os';
import { pipeline, Readable } from 'node:stream';
import { crc32, createDeflate, deflateSync } from 'node:zlib';
import type { KeptMetadata } from './metadata/kept.ts';
import type { SampleShape } from './tiff.ts';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** By channels: gray, gray with alpha, RGB, RGB with alpha. */
const COLOR_TYPES = [0, 4, 2, 6];
/** Keyword, no compression, neither language nor translated keyword (XMP Specification Part 3, 1.1.5). */
const XMP_START = 'XML:com.adobe.xmp\0\0\0\0\0';
const PIECE_BYTES = 2 ** 18;

/**
 * The bytes of a PNG, piece by piece. `xmp` has no zeros, where text of PNG would end. `samples`: bytes of
 * whole rows, interleaved, in the byte order of this machine; all of them together fill the picture. Rejects
 * with what `samples` reject with.
 */
export async function* pngPieces(
  { width, height, channels, depth, icc, exif, xmp }: SampleShape & KeptMetadata,
  samples: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield SIGNATURE;
  const size = Buffer.alloc(13);
  size.writeUInt32BE(width);
  size.writeUInt32BE(height, 4);
  size[8] = depth;
  size[9] = COLOR_TYPES[channels - 1]!;
  yield chunk('IHDR', size);
  if (icc) yield chunk('iCCP', Buffer.concat([Buffer.from('ICC\0\0'), deflateSync(icc)]));
  if (exif) yield chunk('eXIf', exif);
  if (xmp) yield chunk('iTXt', Buffer.concat([Buffer.from(XMP_START), xmp]));
  const stored = createDeflate({ level: 0, chunkSize: PIECE_BYTES });
  // An error of the samples destroys `stored`, which hands it to the loop.
  pipeline(Readable.from(rowsOf(samples, width * channels, depth)), stored, () => {});
  for await (const piece of stored) yield chunk('IDAT', piece);
  yield chunk('IEND', new Uint8Array());
}

/** Rows as PNG has them: the filter, none, and big-endian samples. */
async function* rowsOf(
  samples: AsyncIterable<Uint8Array>,
  samplesPerRow: number,
  depth: 8 | 16,
): AsyncGenerator<Uint8Array> {
  const rowBytes = samplesPerRow * (depth / 8);
  const swaps = depth === 16 && endianness() === 'LE';
  for await (const band of samples) {
    const rows = band.length / rowBytes;
    const bytes = Buffer.alloc(rows * (1 + rowBytes));
    for (let row = 0; row < rows; row++) {
      const at = row * (1 + rowBytes) + 1;
      bytes.set(band.subarray(row * rowBytes, (row + 1) * rowBytes), at);
      if (swaps) bytes.subarray(at, at + rowBytes).swap16();
    }
    yield bytes;
  }
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length);
  bytes.write(type, 4, 'latin1');
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}
