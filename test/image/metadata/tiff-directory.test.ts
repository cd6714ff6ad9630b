import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLiifError } from '../../../src/errors.ts';
import { withParts } from '../../../src/image/metadata/parts.ts';
import { tiffDirectory } from '../../../src/image/metadata/tiff-directory.ts';
import { readImage } from '../../../src/image/read.ts';
import { EXIF, type Field, raw } from '../raw-tiff.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-tiff-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a TIFF whose first picture is a thumbnail', () => {
  it.each([
    ['LONG, little-endian', { little: true }],
    ['LONG, big-endian', { little: false }],
    ['SHORT, big-endian', { little: false, first: [[254, 3, 1]] as Field[] }],
  ])('is refused, with the remedy: %s', async (_, how) => {
    const path = join(folder, 'raw.nef');
    await writeFile(path, raw(how));
    for (const input of [path, raw(how)]) {
      const error = await readImage(input, { name: 'raw.nef' }).catch((caught) => caught);
      expect(isLiifError(error, 'UnsupportedError')).toBe(true);
      expect(error.message).toMatch(
        /^raw\.nef: its first picture is a thumbnail.*develop the raw image first/,
      );
    }
  });

  it('is read where it is the only one, or no thumbnail', async () => {
    for (const how of [{ below: false }, { first: [[254, 4, 0]] as Field[] }, { first: [] }])
      expect((await readImage(raw(how))).raster).toMatchObject({ width: 16, height: 16, channels: 1 });
  });
});

it('a directory is read of BigTIFF, too, and says nothing where it ends early', async () => {
  const nothing = { reduced: false, exif: false, bareYcc: false };
  const big = await sharp(raw()).tiff({ bigtiff: true }).toBuffer();
  expect(await withParts(big, tiffDirectory)).toEqual(nothing);
  // Its last field, made another one.
  const count = Number(big.readBigUInt64LE(Number(big.readBigUInt64LE(8))));
  big.writeUInt16LE(34665, Number(big.readBigUInt64LE(8)) + 8 + 20 * (count - 1));
  expect(await withParts(big, tiffDirectory)).toEqual({ ...nothing, exif: true });
  for (const tiff of [raw(), big])
    for (let length = 0; length < 40; length++)
      expect(await withParts(tiff.subarray(0, length), tiffDirectory)).toEqual(nothing);
});

it('EXIF of a TIFF is missed only by who wants it', async () => {
  const tiff = raw({ first: [EXIF], below: false });
  expect((await readImage(tiff)).warnings).toEqual([]);
  expect((await readImage(tiff, { needsMetadata: true })).warnings).toEqual([
    'has EXIF, which cannot be carried from a TIFF; save it as JPEG or PNG to keep that',
  ]);
  expect((await readImage(raw({ below: false }), { needsMetadata: true })).warnings).toEqual([]);
});
