/** The parts of a TIFF's structure (TIFF 6.0, section 2) that EXIF blocks share with files. */

/** Byte order marks, II and MM: how the bytes of numbers are ordered. */
export const LITTLE_ENDIAN = 0x4949;
export const BIG_ENDIAN = 0x4d4d;
/** Types of values. */
export const SHORT = 3;
export const LONG = 4;
/** EXIF 2.32, 4.6.3: the tag of directory 0 that leads to what a camera says. */
export const EXIF_DIRECTORY = 0x8769;

/** An entry of a directory. */
export interface TiffEntry {
  readonly tag: number;
  readonly type: number;
  /** Where in the view its value lies, of up to 4 bytes (in a BigTIFF, 8), or the offset of a longer one. */
  readonly at: number;
}

/** The entries that begin at `from`: at most `count`, and none that goes beyond the end of the view. */
export function* tiffEntries(
  view: DataView,
  from: number,
  count: number,
  { little, big = false }: { readonly little: boolean; readonly big?: boolean },
): Generator<TiffEntry> {
  const [bytes, value] = big ? [20, 12] : [12, 8];
  for (let i = 0, at = from; i < count && at + bytes <= view.byteLength; i++, at += bytes)
    yield { tag: view.getUint16(at, little), type: view.getUint16(at + 2, little), at: at + value };
}
