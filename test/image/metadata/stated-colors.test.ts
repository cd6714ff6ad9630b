import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { toSrgb } from '../../../src/image/color/to-srgb.ts';
import { heifColors } from '../../../src/image/metadata/heif.ts';
import { pngColors } from '../../../src/image/metadata/png-colors.ts';
import { readImage } from '../../../src/image/read.ts';
import { attachProfile, builtInProfile, withChunk } from '../color/icc-profile.ts';

const red = { create: { width: 32, height: 32, channels: 3, background: '#c82828' } } as const;
const avif = await sharp(red).avif({ lossless: true }).toBuffer();
const png = await sharp(red).png().toBuffer();

type Statement = (primaries: number, transfer: number) => Buffer;

/** The numbers of its `nclx`, others. */
const avifStating: Statement = (primaries, transfer) => {
  const image = Buffer.from(avif);
  const at = image.indexOf('colrnclx') + 8;
  image.writeUInt16BE(primaries, at);
  image.writeUInt16BE(transfer, at + 2);
  return image;
};

/** With a chunk `cICP` behind its header. */
const pngStating: Statement = (primaries, transfer) =>
  withChunk(png, Buffer.concat([Buffer.from('cICP'), Buffer.of(primaries, transfer, 0, 1)]));

describe.each([
  ['AVIF', avifStating, heifColors],
  ['PNG', pngStating, async (image: Uint8Array) => (await pngColors(image)).codes],
])('what %s states of its colors by numbers', (_, stating, codesOf) => {
  it('is found', async () => {
    expect(await codesOf(stating(9, 16))).toEqual({ primaries: 9, transfer: 16 });
  });

  it('makes samples of Display P3 what they are', async () => {
    const { raster, warnings } = await readImage(stating(12, 13));
    expect([raster.colorSpace, warnings]).toEqual(['display-p3', []]);
    expect([...raster.data.slice(0, 3)]).toEqual([200, 40, 40]);
    const converted = await readImage(stating(12, 13), { srgb: true });
    expect(converted.raster).toEqual(toSrgb(raster));
    expect((await readImage(stating(1, 13))).raster.colorSpace).toBeUndefined();
  });

  it('is told where it is not known here', async () => {
    for (const [primaries, transfer, warning] of [
      [9, 16, 'is HDR (PQ), and read as if it were not: it will look dull'],
      [12, 18, 'is HDR (HLG), and read as if it were not: it will look dull'],
      [9, 1, 'has colors of BT.2020, which are taken for those of sRGB'],
    ] as const) {
      const { raster, warnings } = await readImage(stating(primaries, transfer));
      expect([raster.colorSpace, warnings]).toEqual([undefined, [warning]]);
    }
  });

  it('is looked for in bytes that end or are damaged anywhere', async () => {
    const image = stating(12, 13);
    for (let length = 0; length < 400; length++) await codesOf(image.subarray(0, length));
    for (let at = 0; at < 400; at++)
      for (const value of [0, 1, 255]) {
        const damaged = Buffer.from(image);
        damaged[at] = value;
        await codesOf(damaged);
      }
  });
});

it('what a PNG states goes before its profile, where it is known, and is found behind much else', async () => {
  const comment = Buffer.concat([Buffer.from('tEXtComment\0', 'latin1'), Buffer.alloc(300_000, 65)]);
  const path = join(await mkdtemp(join(tmpdir(), 'liif-stated-')), 'a.png');
  try {
    for (const [primaries, transfer, colorSpace, warnings] of [
      [12, 13, 'display-p3', []],
      [1, 13, undefined, []],
      [9, 16, undefined, ['is HDR (PQ), and read as if it were not: it will look dull']],
      // By the profile.
      [9, 1, undefined, []],
    ] as const) {
      const stated = pngStating(primaries, transfer);
      const profiled = attachProfile(stated, await builtInProfile(colorSpace ? 'srgb' : 'p3'));
      const expected = primaries === 9 ? 'display-p3' : colorSpace;
      const found = await readImage(profiled);
      expect([found.raster.colorSpace, found.warnings]).toEqual([expected, warnings]);
      expect([...found.raster.data.slice(0, 3)]).toEqual([200, 40, 40]);
      await writeFile(path, withChunk(stated, comment));
      for (const image of [path, withChunk(stated, comment)])
        expect((await readImage(image)).raster.colorSpace).toBe(colorSpace);
    }
  } finally {
    await rm(dirname(path), { recursive: true });
  }
});
