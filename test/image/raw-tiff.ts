export type Field = readonly [tag: number, type: 3 | 4, value: number];

/** A gray picture whose pixels, all alike, lie at byte 8. TIFF 6.0, section 3. */
const picture = (side: number): Field[] => [
  [256, 4, side],
  [257, 4, side],
  [258, 3, 8],
  [259, 3, 1],
  [262, 3, 1],
  [273, 4, 8],
  [277, 3, 1],
  [278, 4, side],
  [279, 4, side * side],
];
const THUMBNAIL: Field = [254, 4, 1];
/** Where a directory of EXIF would lie. */
export const EXIF: Field = [34665, 4, 8];
const PIXELS = 32 * 32;

/**
 * A TIFF of a picture, and of a larger one in a directory below its own, as raw images of cameras have them.
 */
export function raw({ little = true, first = [THUMBNAIL], below = true } = {}): Buffer {
  const tiff = Buffer.alloc(8 + PIXELS + 1000, 100);
  const u16 = (value: number, at: number) =>
    little ? tiff.writeUInt16LE(value, at) : tiff.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    little ? tiff.writeUInt32LE(value, at) : tiff.writeUInt32BE(value, at);
  const directory = (at: number, unordered: readonly Field[]) => {
    const fields = [...unordered].sort(([a], [b]) => a - b);
    u16(fields.length, at);
    for (const [i, [tag, type, value]] of fields.entries()) {
      const entry = at + 2 + 12 * i;
      u16(tag, entry);
      u16(type, entry + 2);
      u32(1, entry + 4);
      u32(0, entry + 8);
      if (type === 3) u16(value, entry + 8);
      else u32(value, entry + 8);
    }
    u32(0, at + 2 + 12 * fields.length);
  };
  tiff.write(little ? 'II' : 'MM', 'latin1');
  u16(42, 2);
  u32(8 + PIXELS, 4);
  const second = 8 + PIXELS + 500;
  directory(8 + PIXELS, [...first, ...picture(16), ...(below ? ([[330, 4, second]] as Field[]) : [])]);
  directory(second, [[254, 4, 0], ...picture(32)]);
  return tiff;
}
