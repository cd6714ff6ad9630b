import { textAt } from './parts.ts';
import {
  BIG_ENDIAN,
  EXIF_DIRECTORY,
  LITTLE_ENDIAN,
  LONG,
  SHORT,
  type TiffEntry,
  tiffEntries,
} from './tiff-entries.ts';

/** What JPEG puts before the block: Exif\0\0. */
const PREFIX = [0x45, 0x78, 0x69, 0x66, 0, 0];
/** EXIF 2.32, 4.6.4: a tag of directory 0. Its type is SHORT; readers accept LONG, too. */
const ORIENTATION = 0x0112;
/** EXIF 2.32, 4.6.5; DCF 2.0: the tags that lead from EXIF_DIRECTORY to the name of a color space. */
const COLOR_SPACE = 0xa001;
const SRGB = 1;
const INTEROPERABILITY = 0xa005;
const INTEROPERABILITY_INDEX = 1;

/**
 * An EXIF block from its byte order mark on, without the prefix that JPEG puts before it: a view, not a copy.
 */
export function withoutExifPrefix(exif: Uint8Array): Uint8Array {
  return exif.subarray(PREFIX.every((byte, i) => exif[i] === byte) ? PREFIX.length : 0);
}

/**
 * A copy of an EXIF block, from its byte order mark on, that says "upright" (orientation 1), for pictures
 * that have been turned already. A block that cannot be understood is copied as it is.
 */
export function uprightExif(exif: Uint8Array): Uint8Array {
  // Not `slice`: that of a Buffer is a view.
  const bytes = new Uint8Array(withoutExifPrefix(exif));
  const block = new ExifBlock(bytes);
  for (const { tag, type, at } of block.entries(block.first)) {
    if (tag !== ORIENTATION) continue;
    if (type === SHORT) block.view.setUint16(at, 1, block.little);
    else if (type === LONG) block.view.setUint32(at, 1, block.little);
  }
  return bytes;
}

/**
 * Whether a camera says that colors are those of Adobe RGB: by the name `R03`, unless COLOR_SPACE is sRGB,
 * since editors that convert may leave the name behind.
 */
export function isAdobeRgb(exif: Uint8Array): boolean {
  const block = new ExifBlock(withoutExifPrefix(exif));
  const details = block.directoryAt(block.find(block.first, EXIF_DIRECTORY));
  const space = block.find(details, COLOR_SPACE);
  if (space !== undefined && block.view.getUint16(space, block.little) === SRGB) return false;
  const names = block.directoryAt(block.find(details, INTEROPERABILITY));
  const name = block.find(names, INTEROPERABILITY_INDEX);
  return name !== undefined && textAt(block.view, name) === 'R03\0';
}

/** The directories of a block, as far as it is whole: entries beyond its end are not there. */
class ExifBlock {
  readonly view: DataView;
  readonly little: boolean;
  /** Where the first directory begins; undefined where the bytes are no EXIF. */
  readonly first: number | undefined;

  constructor({ buffer, byteOffset, length }: Uint8Array) {
    this.view = new DataView(buffer, byteOffset, length);
    const mark = length >= 8 ? this.view.getUint16(0) : 0;
    this.little = mark === LITTLE_ENDIAN;
    this.first = this.little || mark === BIG_ENDIAN ? this.view.getUint32(4, this.little) : undefined;
  }

  /** The entries of a directory. */
  entries(directory: number | undefined): Iterable<TiffEntry> {
    const { view, little } = this;
    if (directory === undefined || directory + 2 > view.byteLength) return [];
    return tiffEntries(view, directory + 2, view.getUint16(directory, little), { little });
  }

  /** Where the value of a tag lies. */
  find(directory: number | undefined, wanted: number): number | undefined {
    for (const { tag, at } of this.entries(directory)) if (tag === wanted) return at;
    return undefined;
  }

  /** The directory that a value points to. */
  directoryAt(at: number | undefined): number | undefined {
    return at === undefined ? undefined : this.view.getUint32(at, this.little);
  }
}
