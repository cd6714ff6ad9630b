const APP0 = 0xe0;
const APP2 = 0xe2;
const NAME = Buffer.from('ICC_PROFILE\0');

/**
 * A JPEG with a profile, where libvips would have put it: a segment APP2 behind the JFIF header (ICC.1, B.4).
 * Of at most 65519 bytes, so that one holds it. sharp attaches profiles of files alone; reading samples from
 * a file takes as long as encoding a tile does.
 */
export function withProfile(jpeg: Buffer, icc: Uint8Array): Buffer {
  // Behind the two bytes that begin the image.
  const at = jpeg[3] === APP0 ? 4 + jpeg.readUInt16BE(4) : 2;
  const segment = Buffer.alloc(4 + NAME.length + 2);
  segment.set([0xff, APP2]);
  segment.writeUInt16BE(segment.length - 2 + icc.length, 2);
  segment.set(NAME, 4);
  // The first of one.
  segment.set([1, 1], 4 + NAME.length);
  return Buffer.concat([jpeg.subarray(0, at), segment, icc, jpeg.subarray(at)]);
}
