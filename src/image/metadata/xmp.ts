/** XMP Specification Part 2, 3.7: a digit, in an attribute or an element. */
const ORIENTATION =
  /(\btiff:Orientation\s*=\s*["']|<tiff:Orientation>\s*)[2-8](?=["']|\s*<\/tiff:Orientation>)/g;

/**
 * A copy of an XMP packet that says "upright" (orientation 1), for pictures that have been turned already.
 * All other bytes stay, whatever they are.
 */
export function uprightXmp(xmp: Uint8Array): Uint8Array {
  const text = Buffer.from(xmp).toString('latin1');
  const upright = text.replaceAll(ORIENTATION, (_, start: string) => `${start}1`);
  return new Uint8Array(Buffer.from(upright, 'latin1'));
}
