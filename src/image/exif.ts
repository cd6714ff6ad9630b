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
