import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { isAdobeRgb } from '../../../src/image/metadata/exif.ts';
import { pngColors } from '../../../src/image/metadata/png-colors.ts';
import { readImage } from '../../../src/image/read.ts';
import { ADOBE_GAMMA, ADOBE_RGB, attachProfile, builtInProfile, colorIn, withChunk } from './icc-profile.ts';

const color = [200, 40, 90] as const;
const picture = sharp({
  create: { width: 32, height: 32, channels: 3, background: { r: color[0], g: color[1], b: color[2] } },
});
const png = await picture.png().toBuffer();

const first = async (image: Uint8Array, count = 3) => [
  ...(await readImage(image)).raster.data.slice(0, count),
];

describe('the gamma that a PNG states', () => {
  const stating = (image: Uint8Array, gamma: number) => {
    const body = Buffer.from('gAMA\0\0\0\0', 'latin1');
    body.writeUInt32BE(Math.round(gamma * 100_000), 4);
    return withChunk(image, body);
  };
  /** Light as sRGB has it, by IEC 61966-2-1. */
  const curved = (light: number) => Math.round(255 * (1.055 * light ** (1 / 2.4) - 0.055));

  it('is what colors are converted by, and alpha is not', async () => {
    expect(await first(stating(png, 1))).toEqual(color.map((value) => curved(value / 255)));
    expect(await first(stating(png, 1 / 1.8))).toEqual(color.map((value) => curved((value / 255) ** 1.8)));
    const clear = await picture.clone().ensureAlpha(0.5).png().toBuffer();
    expect((await first(stating(clear, 1), 4))[3]).toBe((await first(clear, 4))[3]);
  });

  it('is what gray of 16 bits is converted by', async () => {
    const gray = await sharp(Uint16Array.of(1000, 30000), { raw: { width: 2, height: 1, channels: 1 } })
      .toColorspace('grey16')
      .png()
      .toBuffer();
    const { raster, depth } = await readImage(stating(gray, 1));
    expect([raster.channels, depth]).toEqual([1, 16]);
    expect(raster.data[1]! / 257).toBeCloseTo(255 * (1.055 * (30000 / 65535) ** (1 / 2.4) - 0.055), 1);
  });

  it('means sRGB where it is that of screens', async () => {
    expect(await first(stating(png, 0.45455))).toEqual([...color]);
  });

  it('counts no more beside what says that it is sRGB, and beside a profile', async () => {
    const srgb = withChunk(stating(png, 1), Buffer.from('sRGB\0', 'latin1'));
    expect(await first(srgb)).toEqual([...color]);
    expect(await first(attachProfile(stating(png, 1), await builtInProfile('srgb')))).toEqual([...color]);
    expect(await first(withChunk(stating(png, 1), Buffer.from('cICP\x01\x0d\0\x01', 'latin1')))).toEqual([
      ...color,
    ]);
  });

  it('is nothing where it is none, or the file ends', async () => {
    expect(await first(stating(png, 0))).toEqual([...color]);
    const stated = stating(png, 1);
    for (let length = 0; length < stated.length; length++) {
      const { gamma } = await pngColors(stated.subarray(0, length));
      expect([undefined, 1]).toContain(gamma);
    }
  });
});

describe('Adobe RGB that only EXIF tells, as cameras write it', () => {
  const exif = (index: string, space: string) => ({
    IFD2: { ColorSpace: space },
    IFD4: { InteroperabilityIndex: index },
  });

  it('becomes Display P3, or sRGB where that is asked for', async () => {
    const image = await picture.clone().withExif(exif('R03', '65535')).png().toBuffer();
    const samples = color.map((value) => value / 255);
    for (const space of ['display-p3', 'srgb'] as const) {
      const { raster } = await readImage(image, { srgb: space === 'srgb' });
      expect(raster.colorSpace ?? 'srgb').toBe(space);
      for (const [i, value] of colorIn(space, samples, ADOBE_RGB, ADOBE_GAMMA).entries())
        expect(Math.abs(raster.data[i]! - 255 * value)).toBeLessThan(1);
    }
  });

  it('is not taken for it where EXIF says sRGB, or a profile says otherwise', async () => {
    for (const [index, space] of [
      ['R98', '65535'],
      ['R03', '1'],
    ] as const)
      expect(await first(await picture.clone().withExif(exif(index, space)).png().toBuffer())).toEqual([
        ...color,
      ]);
    const image = await picture.clone().withExif(exif('R03', '65535')).png().toBuffer();
    expect(await first(attachProfile(image, await builtInProfile('srgb')))).toEqual([...color]);
  });

  it('is looked for in EXIF that ends or is damaged anywhere', async () => {
    const image = await picture.clone().withExif(exif('R03', '65535')).jpeg().toBuffer();
    const block = (await sharp(image).metadata()).exif!;
    expect(isAdobeRgb(block)).toBe(true);
    for (let at = 0; at < block.length; at++) {
      isAdobeRgb(block.subarray(0, at));
      const damaged = Buffer.from(block);
      damaged[at]! ^= 0x81;
      isAdobeRgb(damaged);
    }
  });
});
