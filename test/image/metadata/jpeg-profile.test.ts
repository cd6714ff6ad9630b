import sharp from 'sharp';
import { expect, it } from 'vitest';
import { profileOf } from '../../../src/image/color/profile.ts';
import { withProfile } from '../../../src/image/metadata/jpeg-profile.ts';
import { tiffToFill } from '../../../src/image/tiff.ts';

const shape = { width: 24, height: 16, channels: 3 } as const;
const data = Uint8Array.from({ length: 24 * 16 * 3 }, (_, i) => (i * 7) & 255);
const plain = await sharp(data, { raw: shape }).jpeg().toBuffer();
const icc = await profileOf('display-p3');

it('a JPEG gets the bytes that libvips writes for an image that has the profile', async () => {
  const { tiff, samples } = tiffToFill({ ...shape, depth: 8, icc });
  samples.set(data);
  expect(withProfile(plain, icc)).toEqual(await sharp(tiff).keepIccProfile().jpeg().toBuffer());
});

it('one without a JFIF header has the profile first', async () => {
  const bare = Buffer.concat([plain.subarray(0, 2), plain.subarray(4 + plain.readUInt16BE(4))]);
  const profiled = withProfile(bare, icc);
  expect(profiled.subarray(2, 4)).toEqual(Buffer.from([0xff, 0xe2]));
  expect((await sharp(profiled).metadata()).icc).toEqual(Buffer.from(icc));
});
