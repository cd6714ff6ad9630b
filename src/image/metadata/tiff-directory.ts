import type { Metadata } from 'sharp';
import type { Parts } from './parts.ts';
import { EXIF_DIRECTORY, LITTLE_ENDIAN, SHORT, tiffEntries } from './tiff-entries.ts';

/** What the first directory of a TIFF says that sharp does not. */
export interface TiffDirectory {
  /** Its picture is a smaller version of another one of the file. */
  readonly reduced: boolean;
  readonly exif: boolean;
  /** Its samples are YCbCr, and not in a JPEG, whose decoder would make RGB of them. */
  readonly bareYcc: boolean;
}

/** TIFF 6.0, sections 8 and 21; its Technical Note 2. */
const NEW_SUBFILE_TYPE = 254;
const COMPRESSION = 259;
const JPEG = 7;
const PHOTOMETRIC = 262;
const YCC = 6;
const REDUCED = 1;
const BIG_TIFF = 43;
const MAX_ENTRIES = 4096;

/** Of a file that sharp takes for a TIFF; it says nothing where the file ends early. */
export async function tiffDirectory(parts: Parts): Promise<TiffDirectory> {
  const found = new Map<number, number>();
  try {
    const start = await parts(0, 16);
    const little = start.getUint16(0) === LITTLE_ENDIAN;
    const big = start.getUint16(2, little) === BIG_TIFF;
    const at = big ? Number(start.getBigUint64(8, little)) : start.getUint32(4, little);
    const [countBytes, entryBytes] = big ? [8, 20] : [2, 12];
    const head = await parts(at, countBytes);
    const count = big ? Number(head.getBigUint64(0, little)) : head.getUint16(0, little);
    const entries = await parts(at + countBytes, Math.min(count, MAX_ENTRIES) * entryBytes);
    for (const { tag, type, at } of tiffEntries(entries, 0, count, { little, big }))
      found.set(tag, type === SHORT ? entries.getUint16(at, little) : entries.getUint32(at, little));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return {
    reduced: ((found.get(NEW_SUBFILE_TYPE) ?? 0) & REDUCED) !== 0,
    exif: found.has(EXIF_DIRECTORY),
    bareYcc: found.get(PHOTOMETRIC) === YCC && found.get(COMPRESSION) !== JPEG,
  };
}

/**
 * Why sharp does not read the picture that a TIFF is of, for a message to end with; undefined where it does.
 */
export function unreadableTiff(
  { reduced, bareYcc }: TiffDirectory,
  { subifds }: Pick<Metadata, 'subifds'>,
): string | undefined {
  // Raw images of cameras: sharp would read their thumbnail.
  if (reduced && subifds)
    return 'its first picture is a thumbnail, and what it is of cannot be read; develop the raw image first, and save it as TIFF or JPEG';
  // sharp would take the samples for red, green and blue.
  if (bareYcc) return 'YCbCr that is not compressed by JPEG cannot be read; convert the image to RGB first';
  return undefined;
}
