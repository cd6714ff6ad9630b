import { expect, it } from 'vitest';
import { isAdobeRgb, uprightExif } from '../../../src/image/metadata/exif.ts';

/** An EXIF block of an orientation alone. */
function exif(type: 3 | 4, little: boolean): Buffer {
  const block = Buffer.alloc(26);
  block.write(little ? 'II' : 'MM', 'latin1');
  const u16 = (value: number, at: number) =>
    little ? block.writeUInt16LE(value, at) : block.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    little ? block.writeUInt32LE(value, at) : block.writeUInt32BE(value, at);
  u16(42, 2);
  u32(8, 4);
  u16(1, 8);
  u16(0x0112, 10);
  u16(type, 12);
  u32(1, 14);
  if (type === 3) u16(6, 18);
  else u32(6, 18);
  return block;
}

it.each([
  ['SHORT', 3],
  ['LONG', 4],
] as const)('an orientation is made upright where it is a %s', (_, type) => {
  for (const little of [true, false]) {
    const upright = uprightExif(exif(type, little));
    const view = new DataView(upright.buffer, upright.byteOffset);
    expect(type === 3 ? view.getUint16(18, little) : view.getUint32(18, little)).toBe(1);
  }
});

it('what it is made from stays as it is', () => {
  const block = exif(3, true);
  for (const given of [block, Buffer.concat([Buffer.from('Exif\0\0'), block])]) {
    const before = given.toString('hex');
    uprightExif(given);
    expect(given.toString('hex')).toBe(before);
  }
});

it('a block without a byte order mark says nothing, and is copied as it is', () => {
  const block = exif(3, false);
  block.write('XX', 'latin1');
  expect(Buffer.from(uprightExif(block)).equals(block)).toBe(true);
  expect(isAdobeRgb(block)).toBe(false);
});

it('a directory that is cut off has the entries that are there', () => {
  const block = exif(3, true);
  block.writeUInt16LE(9, 8);
  expect(uprightExif(block.subarray(0, 22))[18]).toBe(1);
});
