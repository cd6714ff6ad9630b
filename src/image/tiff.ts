/** Just enough BigTIFF to hand bands of samples to sharp, in memory or through a file, with a profile and without limits of 4 GiB. */

export interface TiffShape {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly depth: 8 | 16;
  readonly icc?: Uint8Array;
}

const STRIP_BYTES = 2 ** 18;
/** Field types: TIFF 6.0 and the BigTIFF design. */
const TYPE = { byte: 1, short: 3, long: 4, rational: 5, long8: 16 } as const;
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 5: 8, 16: 8 };
/** Pixels to an inch, as other images have that say nothing: sharp would write that a pixel is a millimeter large. */
export const DENSITY = 72;
const INCH = 2;

/** Everything before the samples, which follow row by row, interleaved, in the byte order of this machine. */
export function tiffHeader(shape: TiffShape): Uint8Array {
  const { width, height, channels, depth, icc } = shape;
  const color = channels >= 3 ? 3 : 1;
  const alpha = channels > color;
  const rowBytes = width * channels * (depth / 8);
  const rowsPerStrip = Math.max(1, Math.min(height, Math.floor(STRIP_BYTES / rowBytes)));
  const strips = Math.ceil(height / rowsPerStrip);
  const fields: [tag: number, type: number, values: ArrayLike<number>][] = [
    [256, TYPE.long, [width]],
    [257, TYPE.long, [height]],
    [258, TYPE.short, new Array<number>(channels).fill(depth)],
    [259, TYPE.short, [1]], // no compression
    [262, TYPE.short, [color === 3 ? 2 : 1]], // RGB, or black is zero
    [273, TYPE.long8, new Float64Array(strips)], // offsets of strips: below, when the length of the header is known
    [277, TYPE.short, [channels]],
    [278, TYPE.long, [rowsPerStrip]],
    [
      279,
      TYPE.long8,
      Float64Array.from(
        { length: strips },
        (_, i) => Math.min(rowsPerStrip, height - i * rowsPerStrip) * rowBytes,
      ),
    ],
    [282, TYPE.rational, [DENSITY]],
    [283, TYPE.rational, [DENSITY]],
    [284, TYPE.short, [1]], // interleaved
    [296, TYPE.short, [INCH]],
    ...(alpha ? ([[338, TYPE.short, [2]]] as [number, number, number[]][]) : []), // not premultiplied
    [339, TYPE.short, new Array<number>(channels).fill(1)], // unsigned
    ...(icc ? ([[34675, TYPE.byte, icc]] as [number, number, Uint8Array][]) : []),
  ];
  const directory = 16;
  const directoryEnd = directory + 8 + 20 * fields.length + 8;
  const sizeOf = (type: number, values: ArrayLike<number>) => TYPE_BYTES[type]! * values.length;
  let length = directoryEnd;
  for (const [, type, values] of fields) {
    const size = sizeOf(type, values);
    if (size > 8) length += Math.ceil(size / 8) * 8;
  }
  const offsets = fields.find(([tag]) => tag === 273)![2] as Float64Array;
  for (let i = 0; i < strips; i++) offsets[i] = length + i * rowsPerStrip * rowBytes;

  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const write = (at: number, type: number, values: ArrayLike<number>) => {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (type === TYPE.byte) view.setUint8(at + i, value);
      else if (type === TYPE.short) view.setUint16(at + 2 * i, value, little);
      else if (type === TYPE.long) view.setUint32(at + 4 * i, value, little);
      else if (type === TYPE.rational) {
        view.setUint32(at + 8 * i, value, little);
        view.setUint32(at + 8 * i + 4, 1, little);
      } else view.setBigUint64(at + 8 * i, BigInt(value), little);
    }
  };
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  write(2, TYPE.short, [43, 8, 0]);
  write(8, TYPE.long8, [directory]);
  write(directory, TYPE.long8, [fields.length]);
  let at = directory + 8;
  let data = directoryEnd;
  for (const [tag, type, values] of fields) {
    write(at, TYPE.short, [tag, type]);
    write(at + 4, TYPE.long8, [values.length]);
    const size = sizeOf(type, values);
    if (size <= 8) write(at + 12, type, values);
    else {
      write(at + 12, TYPE.long8, [data]);
      write(data, type, values);
      data += Math.ceil(size / 8) * 8;
    }
    at += 20;
  }
  return bytes;
}

/** A TIFF with room for its samples, which are to be written there. */
export function tiffToFill(shape: TiffShape): {
  readonly tiff: Uint8Array<ArrayBuffer>;
  readonly samples: Uint8Array;
} {
  const header = tiffHeader(shape);
  const { width, height, channels, depth } = shape;
  const tiff = new Uint8Array(header.length + width * height * channels * (depth / 8));
  tiff.set(header);
  return { tiff, samples: tiff.subarray(header.length) };
}
