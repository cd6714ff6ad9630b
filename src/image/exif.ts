import { textAt } from './icc.ts';

/** EXIF 2.32, 4.6.4: tag Orientation of IFD 0, a SHORT, which readers take as a LONG, too. */
const ORIENTATION = 0x0112;
const SHORT = 3;
const LONG = 4;
const PREFIX = [0x45, 0x78, 0x69, 0x66, 0, 0]; // Exif\0\0

/** An EXIF block from its byte order mark on, without what JPEG puts before it: a view of it. */
export function withoutExifPrefix(exif: Uint8Array): Uint8Array {
  return exif.subarray(PREFIX.every((byte, i) => exif[i] === byte) ? PREFIX.length : 0);
}

/**
 * A copy of an EXIF block that says "upright" (orientation 1), for pictures that have been turned already, and begins with its byte order
 * mark. What cannot be understood is copied as it is.
 */
export function uprightExif(exif: Uint8Array): Uint8Array {
  // Not `slice`: that of a Buffer is a view.
  const bytes = new Uint8Array(withoutExifPrefix(exif));
  if (bytes.length < 8) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const mark = view.getUint16(0);
  if (mark !== 0x4949 && mark !== 0x4d4d) return bytes;
  const little = mark === 0x4949;
  const start = view.getUint32(4, little);
  if (start + 2 > bytes.length) return bytes;
  const entries = view.getUint16(start, little);
  for (let i = 0, at = start + 2; i < entries && at + 12 <= bytes.length; i++, at += 12) {
    if (view.getUint16(at, little) !== ORIENTATION) continue;
    const type = view.getUint16(at + 2, little);
    if (type === SHORT) view.setUint16(at + 8, 1, little);
    else if (type === LONG) view.setUint32(at + 8, 1, little);
  }
  return bytes;
}

/** EXIF 2.32, 4.6.3 and 4.6.5; DCF 2.0: which directories lead to the name of a color space. */
const EXIF_DIRECTORY = 0x8769;
const COLOR_SPACE = 0xa001;
const SRGB = 1;
const INTEROPERABILITY = 0xa005;
const INTEROPERABILITY_INDEX = 1;

/** Whether a camera says that colors are those of Adobe RGB, by `R03`, which editors that convert them may leave behind. */
export function isAdobeRgb(exif: Uint8Array): boolean {
  const bytes = withoutExifPrefix(exif);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    const little = view.getUint16(0) === 0x4949;
    /** Where the value of a tag lies. */
    const find = (directory: number, tag: number): number | undefined => {
      for (let i = 0, at = directory + 2; i < view.getUint16(directory, little); i++, at += 12)
        if (view.getUint16(at, little) === tag) return at + 8;
      return undefined;
    };
    const details = find(view.getUint32(4, little), EXIF_DIRECTORY);
    if (details === undefined) return false;
    const directory = view.getUint32(details, little);
    const space = find(directory, COLOR_SPACE);
    if (space !== undefined && view.getUint16(space, little) === SRGB) return false;
    const more = find(directory, INTEROPERABILITY);
    const index = more && find(view.getUint32(more, little), INTEROPERABILITY_INDEX);
    return index !== undefined && textAt(view, index) === 'R03\0';
  } catch (error) {
    if (error instanceof RangeError) return false; // an offset beyond the end
    throw error;
  }
}
