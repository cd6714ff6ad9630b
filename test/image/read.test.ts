import fs, { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import crc32 from 'crc-32';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ColorSpace } from '../../src/color-space.ts';
import { isLiifError } from '../../src/errors.ts';
import { ImageError } from '../../src/image/errors.ts';
import { readImage } from '../../src/image/read.ts';
import {
  ADOBE_GAMMA,
  ADOBE_RGB,
  attachProfile,
  builtInProfile,
  colorIn,
  DISPLAY_P3,
  matrixProfile,
} from './color/icc-profile.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-read-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Samples that differ everywhere. */
function noise(count: number, bits: 8 | 16): Uint8Array | Uint16Array {
  const data = bits === 16 ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) data[i] = Math.imul(i + 1, 2654435761) >>> (32 - bits);
  return data;
}

/** A PNG of exactly these samples. */
function png(data: Uint8Array | Uint16Array, width: number, height: number, channels: 1 | 2 | 3 | 4) {
  const wide = data instanceof Uint16Array;
  const space = channels <= 2 ? (wide ? 'grey16' : 'b-w') : wide ? 'rgb16' : 'srgb';
  return sharp(data, { raw: { width, height, channels } }).toColorspace(space).png().toBuffer();
}

describe('readImage', () => {
  it.each([
    [1, 8],
    [2, 8],
    [3, 8],
    [4, 8],
    [1, 16],
    [2, 16],
    [3, 16],
    [4, 16],
  ] as const)('keeps every sample of a PNG of %i channels and %i bits', async (channels, bits) => {
    const data = noise(13 * 7 * channels, bits);
    const { raster, depth, format } = await readImage(await png(data, 13, 7, channels));
    expect({ ...raster, data: undefined }).toEqual({ width: 13, height: 7, channels, data: undefined });
    expect(depth).toBe(bits);
    expect(format).toBe('png');
    expect(raster.data).toEqual(data);
  });

  it('reads a palette with transparent entries as colors and alpha', async () => {
    const pixels = Uint8Array.from([255, 0, 0, 255, 0, 0, 255, 255, 0, 255, 0, 0, 255, 0, 0, 255]);
    const bytes = await sharp(pixels, { raw: { width: 2, height: 2, channels: 4 } })
      .png({ palette: true, dither: 0 })
      .toBuffer();
    expect((await sharp(bytes).metadata()).isPalette).toBe(true);
    const { raster } = await readImage(bytes);
    expect(raster.channels).toBe(4);
    expect([...raster.data.slice(0, 8)]).toEqual([255, 0, 0, 255, 0, 0, 255, 255]);
    expect(raster.data[11]).toBe(0);
  });

  it('reads the first picture of an animation, and says how many there are', async () => {
    const frames = await sharp(Buffer.concat([Buffer.alloc(5 * 4 * 3, 200), Buffer.alloc(5 * 4 * 3, 10)]), {
      raw: { width: 5, height: 8, channels: 3, pageHeight: 4 },
    })
      .gif()
      .toBuffer();
    const { raster, format, warnings } = await readImage(frames);
    expect([format, raster.width, raster.height]).toEqual(['gif', 5, 4]);
    expect(raster.data[0]).toBeGreaterThan(190);
    expect(warnings).toEqual(['has 2 pictures; only the first is read']);
    for (const still of [sharp(frames).avif(), sharp(frames).tiff(), sharp(frames).gif()])
      expect((await readImage(await still.toBuffer())).warnings).toEqual([]);
  });

  it('reads SVG', async () => {
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="6" height="3"><rect width="6" height="3" fill="#102030"/></svg>';
    const { raster } = await readImage(Buffer.from(svg));
    expect([raster.width, raster.height, raster.channels]).toEqual([6, 3, 4]);
    expect([...raster.data.slice(0, 4)]).toEqual([16, 32, 48, 255]);
  });

  it('reads bytes in a class that is made of Uint8Array', async () => {
    class Bytes extends Uint8Array {}
    const png = await sharp(Uint8Array.of(10, 20, 30), { raw: { width: 1, height: 1, channels: 3 } })
      .png()
      .toBuffer();
    const { raster } = await readImage(Bytes.from(png));
    expect([...raster.data]).toEqual([10, 20, 30]);
  });

  it('says upright in the XMP of what it has turned', async () => {
    const xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>';
    const stored = sharp({ create: { width: 6, height: 3, channels: 3, background: '#123' } }).withXmp(xmp);
    const of = async (orientation: number) => {
      const image = await stored.clone().withMetadata({ orientation }).withXmp(xmp).jpeg().toBuffer();
      return Buffer.from((await readImage(image)).metadata.xmp!).toString();
    };
    expect(await of(6)).toContain('<tiff:Orientation>1<');
    expect(await of(1)).toContain('<tiff:Orientation>6<');
  });

  it('draws nothing into an SVG that lies beside it', async () => {
    const secret = sharp({ create: { width: 6, height: 6, channels: 3, background: '#f00' } });
    await secret.toFile(join(folder, 'secret.png'));
    const path = join(folder, 'stranger.svg');
    await writeFile(
      path,
      '<svg xmlns="http://www.w3.org/2000/svg" width="6" height="6"><image href="secret.png" width="6" height="6"/></svg>',
    );
    const { raster } = await readImage(path);
    expect([raster.width, raster.height]).toEqual([6, 6]);
    expect(raster.data.every((sample) => sample === 0)).toBe(true);
  });

  it('does not believe a PNG that says more pixels than its bytes can hold, even where damage is put up with', async () => {
    const png = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#f00' } })
      .png()
      .toBuffer();
    png.writeUInt32BE(16_777_280, 16);
    png.writeUInt32BE(crc32.buf(png.subarray(12, 29)) >>> 0, 29);
    const path = join(folder, 'boast.png');
    await writeFile(path, png);
    for (const input of [png, path])
      await expect(readImage(input, { tolerant: true })).rejects.toThrow(
        /too few for the 16777280 x 16 pixels that its header says/,
      );
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'turns EXIF orientation %i upright and says so in the EXIF',
    async (orientation) => {
      // What the camera saw: a 3x2 picture, each pixel of a different value.
      const upright = [10, 20, 30, 40, 50, 60];
      const at = (x: number, y: number) => upright[y * 3 + x]!;
      // Where the stored row and column come from: EXIF 2.32, 4.6.4 (orientation names the side of stored row
      // 0 and column 0).
      const stored: Record<number, (row: number, column: number) => number> = {
        1: (r, c) => at(c, r),
        2: (r, c) => at(2 - c, r),
        3: (r, c) => at(2 - c, 1 - r),
        4: (r, c) => at(c, 1 - r),
        5: (r, c) => at(r, c),
        6: (r, c) => at(2 - r, c),
        7: (r, c) => at(2 - r, 1 - c),
        8: (r, c) => at(r, 1 - c),
      };
      const [width, height] = orientation >= 5 ? [2, 3] : [3, 2];
      const data = new Uint8Array(6);
      for (let r = 0; r < height; r++)
        for (let c = 0; c < width; c++) data[r * width + c] = stored[orientation]!(r, c);
      const bytes = await sharp(data, { raw: { width, height, channels: 1 } })
        .toColorspace('b-w')
        .withMetadata({ orientation })
        .png()
        .toBuffer();
      expect((await sharp(bytes).metadata()).orientation).toBe(orientation);
      const { raster, metadata } = await readImage(bytes);
      expect([raster.width, raster.height]).toEqual([3, 2]);
      expect([...raster.data].filter((_, i) => i % raster.channels === 0)).toEqual(upright);
      expect(orientationOf(metadata.exif!)).toBe(1);
    },
  );

  const PROFILED = (['srgb', 'display-p3'] as const).flatMap((to) =>
    ([8, 16] as const).flatMap((bits) => [
      { to, bits, from: 'Adobe RGB', primaries: ADOBE_RGB, gamma: ADOBE_GAMMA },
      { to, bits, from: 'P3 of another curve', primaries: DISPLAY_P3, gamma: 2.6 },
    ]),
  );
  it.each(PROFILED)('converts $from of $bits bits to $to', async ({ to, bits, primaries, gamma }) => {
    const colors = [
      [0.5, 0.5, 0.5],
      [0.7, 0.5, 0.4],
      [0.4, 0.6, 0.55],
      [0.3, 0.35, 0.6],
      [1, 1, 1],
      [0, 0, 0],
      [0.9, 0.85, 0.7],
      [0.2, 0.25, 0.15],
      // Beyond sRGB.
      [0.4, 0.9, 0.45],
      [0.95, 0.4, 0.35],
    ];
    const peak = bits === 16 ? 65535 : 255;
    const flat = colors.flat().map((value) => Math.round(value * peak));
    const data = bits === 16 ? Uint16Array.from(flat) : Uint8Array.from(flat);
    const profile = matrixProfile(primaries, gamma);
    const bytes = attachProfile(await png(data, colors.length, 1, 3), profile);
    const { raster, depth, metadata, warnings } = await readImage(bytes, { srgb: to === 'srgb' });
    expect(warnings).toEqual([]);
    expect(depth).toBe(bits);
    expect(raster.colorSpace ?? 'srgb').toBe(to);
    expect(metadata.icc).toEqual(Buffer.from(profile));
    const expectedIn = (space: ColorSpace) =>
      colors.flatMap((color) => colorIn(space, color, primaries, gamma)).map((value) => value * peak);
    const expected = expectedIn(to);
    const largestTo = (values: ArrayLike<number>) =>
      Math.max(...expected.map((value, i) => Math.abs(value - values[i]!)));
    const tolerance = bits === 16 ? 400 : 2.1;
    expect(largestTo(raster.data)).toBeLessThan(tolerance);
    expect(largestTo(flat), 'the conversion must matter for this test to').toBeGreaterThan(3 * tolerance);
    const other = expectedIn(to === 'srgb' ? 'display-p3' : 'srgb');
    expect(largestTo(other), 'and where it leads').toBeGreaterThan(3 * tolerance);
  });

  it.each([
    [3, 8],
    [4, 8],
    [3, 16],
    [4, 16],
  ] as const)('keeps every sample of Display P3: %i channels, %i bits', async (channels, bits) => {
    const data = noise(13 * 7 * channels, bits);
    const bytes = attachProfile(await png(data, 13, 7, channels), await builtInProfile('p3'));
    const { raster } = await readImage(bytes);
    expect(raster).toEqual({ width: 13, height: 7, channels, data, colorSpace: 'display-p3' });
    const converted = await readImage(bytes, { srgb: true });
    expect(converted.raster.colorSpace).toBeUndefined();
    expect(converted.raster.data).not.toEqual(data);
  });

  it('keeps alpha where 8 bits are converted by way of 16', async () => {
    const data = Uint8Array.from({ length: 256 * 4 }, (_, i) => (i % 4 === 3 ? i >> 2 : 60 + 40 * (i % 4)));
    const bytes = attachProfile(await png(data, 256, 1, 4), matrixProfile(ADOBE_RGB, ADOBE_GAMMA));
    const { raster } = await readImage(bytes);
    expect([raster.channels, raster.colorSpace]).toEqual([4, 'display-p3']);
    for (let i = 0; i < 256; i++) expect(raster.data[4 * i + 3]).toBe(i);
  });

  it('takes no profile of colors for gray', async () => {
    const bytes = attachProfile(await png(noise(12, 8), 4, 3, 1), await builtInProfile('p3'));
    const { raster } = await readImage(bytes);
    expect(raster).toEqual({ width: 4, height: 3, channels: 1, data: noise(12, 8) });
  });

  it('converts CMYK to sRGB', async () => {
    const bytes = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#c83c28' } })
      .toColorspace('cmyk')
      .jpeg({ quality: 100 })
      .toBuffer();
    expect((await sharp(bytes).metadata()).space).toBe('cmyk');
    const { raster, depth } = await readImage(bytes);
    expect([raster.channels, depth]).toEqual([3, 8]);
    const [r, g, b] = raster.data;
    expect(r).toBeGreaterThan(170);
    expect(g).toBeLessThan(90);
    expect(b).toBeLessThan(80);
  });

  it('says that CMYK of 16 bits is read in 8', async () => {
    for (const [depth, warnings] of [
      [8, []],
      [16, ['is read in 8 bits a sample']],
    ] as const) {
      const found = await readImage(plainTiff({ photometric: 5, samples: [1, 2, 3, 4], depth, extra: [] }));
      expect([found.depth, found.warnings]).toEqual([8, warnings]);
    }
  });

  it('converts Lab to sRGB', async () => {
    const bytes = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#c83c28' } })
      .toColorspace('lab')
      .tiff({ compression: 'none' })
      .toBuffer();
    expect((await sharp(bytes).metadata()).space).toBe('lab');
    const { raster, depth } = await readImage(bytes);
    const scale = depth === 16 ? 257 : 1;
    const found = [...raster.data.slice(0, 3)].map((value) => value / scale);
    [200, 60, 40].forEach((value, i) => {
      expect(Math.abs(found[i]! - value)).toBeLessThan(3);
    });
  });

  it('refuses alpha that sharp reads wrongly, and reads the other', async () => {
    const data = Uint8Array.from({ length: 256 * 4 }, (_, i) => (i % 4 === 3 ? i >> 2 : 100));
    const tiffOf = (space: string) =>
      sharp(data, { raw: { width: 256, height: 1, channels: 4 } })
        .toColorspace(space)
        .tiff({ compression: 'none' })
        .toBuffer();
    for (const space of ['lab', 'cmyk']) {
      const { raster, depth } = await readImage(await tiffOf(space));
      const alpha = Array.from({ length: 256 }, (_, i) => raster.data[4 * i + 3]! / (depth === 16 ? 257 : 1));
      expect(alpha).toEqual(Array.from({ length: 256 }, (_, i) => i));
    }
    for (const [bytes, message] of [
      [await tiffOf('labs'), 'alpha beside Lab cannot be read; convert the image to RGB first'],
      [
        plainTiff({ photometric: 5, samples: [1, 2, 3, 4, 5], depth: 16, extra: [2] }),
        'alpha beside CMYK of 16 bits cannot be read; convert the image to RGB first',
      ],
    ] as const) {
      const error = await readImage(bytes, { name: 'a.tif' }).catch((caught) => caught);
      expect(isLiifError(error, 'UnsupportedError')).toBe(true);
      expect(error.message).toBe(`a.tif: ${message}`);
    }
  });

  it.each([8, 16] as const)(
    'refuses channels of %i bits of which it is not known what they are',
    async (depth) => {
      for (const [photometric, samples, kind] of [
        [1, [10, 60, 110], 'gray'],
        [2, [10, 60, 110, 160, 210], 'RGB'],
      ] as const) {
        const bytes = plainTiff({ photometric, samples, depth, extra: [2, 0] });
        const error = await readImage(bytes).catch((caught) => caught);
        expect(isLiifError(error, 'UnsupportedError')).toBe(true);
        expect(error.message).toMatch(`${samples.length} channels where ${samples.length - 1} were expected`);
        expect(error.message).toMatch(`convert the image to ${kind} first`);
      }
      const { raster } = await readImage(plainTiff({ photometric: 1, samples: [10, 60], depth, extra: [2] }));
      expect(Array.from(raster.data, (value) => value / (depth === 16 ? 257 : 1))).toEqual([10, 60]);
    },
  );

  it('keeps a grey JPEG grey', async () => {
    const bytes = await sharp(noise(64, 8), { raw: { width: 8, height: 8, channels: 1 } })
      .toColorspace('b-w')
      .jpeg()
      .toBuffer();
    expect((await readImage(bytes)).raster.channels).toBe(1);
  });

  describe('HEIC, by a package that is optional', () => {
    /**
     * Made by heif-enc of libheif: phone.heic has the profile of Display P3, clear.heic has alpha, two.heic
     * is red and blue.
     */
    const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
    const colorAt = (x: number, y: number) => [5 * x, 8 * y, 255 - 5 * x, 255 - 7 * y];

    it.each([
      ['phone.heic', 3, 'display-p3'],
      ['clear.heic', 4, undefined],
    ] as const)('reads %s', async (name, channels, colorSpace) => {
      for (const input of [fixture(name), await readFile(fixture(name))]) {
        const { raster, depth, format, warnings, metadata } = await readImage(input);
        expect({ ...raster, data: undefined }).toEqual({
          width: 48,
          height: 32,
          channels,
          data: undefined,
          ...(colorSpace && { colorSpace }),
        });
        expect([depth, format, warnings, metadata.icc !== undefined]).toEqual([
          8,
          'heif',
          [],
          channels === 3,
        ]);
        let far = 0;
        for (let y = 0; y < 32; y++)
          for (let x = 0; x < 48; x++)
            for (let c = 0; c < channels; c++)
              far += Math.abs(raster.data[channels * (48 * y + x) + c]! - colorAt(x, y)[c]!);
        expect(far / raster.data.length).toBeLessThan(3);
      }
    });

    it('takes the primary picture of several', async () => {
      const two = await readFile(fixture('two.heic'));
      const [red, blue] = [
        [200, 40, 40],
        [40, 40, 200],
      ];
      const second = Buffer.from(two);
      // The item in the box `pitm`, behind its version and flags: ISO/IEC 14496-12, 8.11.4.
      second.writeUInt16BE(4, two.indexOf('pitm') + 8);
      for (const [bytes, color] of [
        [two, red],
        [second, blue],
      ] as const) {
        const { raster, warnings } = await readImage(bytes);
        expect(warnings).toEqual(['has 2 pictures; only the first is read']);
        for (const [c, value] of color!.entries()) expect(Math.abs(raster.data[c]! - value)).toBeLessThan(4);
      }
    });

    it('refuses damaged ones and large ones', async () => {
      const whole = await readFile(fixture('phone.heic'));
      // Its last bytes, of the picture.
      const cut = await readImage(whole.subarray(0, -200), { name: 'cut.heic' }).catch((error) => error);
      expect(cut).toBeInstanceOf(ImageError);
      expect(cut.message).toMatch(/^cut\.heic: the image cannot be decoded: /);
      const large = await readImage(whole, { maxPixels: 48 * 32 - 1 }).catch((error) => error);
      expect(isLiifError(large, 'UnsupportedError')).toBe(true);
    });
  });

  it('stops when it is told to, with the reason as it is', async () => {
    const reason = new Error('enough');
    const at = (signal: AbortSignal) =>
      readImage(fileURLToPath(new URL('../fixtures/phone.heic', import.meta.url)), { signal });
    await expect(at(AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const begun = at(controller.signal);
    // The decoder's thread takes longer to start.
    setTimeout(() => controller.abort(reason), 20);
    await expect(begun).rejects.toBe(reason);
    expect((await at(new AbortController().signal)).raster.width).toBe(48);
  });

  it('reads from a path, and names it in errors', async () => {
    const path = join(folder, 'grey.png');
    await writeFile(path, await png(noise(12, 8), 4, 3, 1));
    expect((await readImage(path)).raster.width).toBe(4);
    const error = await readImage(join(folder, 'missing.png')).catch((caught) => caught);
    expect(isLiifError(error, 'SourceError')).toBe(true);
    expect(error.message).toBe(`${join(folder, 'missing.png')}: no such file`);
    expect(isLiifError(await readImage(folder).catch((caught) => caught), 'SourceError')).toBe(true);
  });

  it.skipIf(process.platform === 'win32')('says that an image may not be read', async () => {
    const path = join(folder, 'secret.png');
    await writeFile(path, await png(noise(12, 8), 4, 3, 1), { mode: 0 });
    // Nothing is kept from root: it is told what others are.
    const { access } = fs;
    if (process.getuid?.() === 0)
      fs.access = (name, mode) =>
        name === path
          ? Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' }))
          : access(name, mode);
    syncBuiltinESMExports();
    try {
      const error = await readImage(path).catch((caught) => caught);
      expect(isLiifError(error, 'SourceError')).toBe(true);
      expect(error.message).toBe(`${path}: permission denied`);
    } finally {
      fs.access = access;
      syncBuiltinESMExports();
    }
  });

  it('says what is wrong with an image, not what the reader was told', async () => {
    const tiff = await sharp(noise(64 * 64 * 3, 8), { raw: { width: 64, height: 64, channels: 3 } })
      .tiff({ compression: 'none' })
      .toBuffer();
    // Its directory is followed by itself.
    const loop = Buffer.from(tiff);
    const directory = loop.readUInt32LE(4);
    loop.writeUInt32LE(directory, directory + 2 + 12 * loop.readUInt16LE(directory));
    const failure = (bytes: Uint8Array, tolerant = false) =>
      readImage(bytes, { name: 'a.tif', tolerant }).then(
        () => 'read',
        (error) => error.message,
      );
    expect(await failure(loop)).toMatch(
      /^a\.tif: the image cannot be decoded: TIFF directory 0 .*; with tolerant it is read as far as it goes$/,
    );
    expect(await failure(loop, true)).toBe('read');
    const png = Buffer.from(await sharp(tiff).png().toBuffer());
    png.writeUInt32BE(0xffffffff, 16);
    expect(await failure(png)).not.toMatch(/:;|:$|failOn/);
  });

  it('names kinds of images that cannot be read, and calls none of them damaged', async () => {
    const lzw = await sharp(noise(64 * 64 * 3, 8), { raw: { width: 64, height: 64, channels: 3 } })
      .tiff({ compression: 'lzw' })
      .toBuffer();
    const jpeg = await sharp(lzw).jpeg().toBuffer();
    const color = { samples: [1, 2, 3], extra: [] };
    for (const [bytes, what] of [
      [withField(lzw, 259, 50000), 'a TIFF in compression ZSTD'],
      [withField(lzw, 259, 34712), 'a TIFF in compression 34712'],
      [
        withField(plainTiff({ photometric: 1, samples: [1], depth: 8, extra: [] }), 258, 12),
        'a TIFF of so many',
      ],
      [plainTiff({ ...color, photometric: 8, depth: 8 }), 'a TIFF of this color space'],
      [plainTiff({ ...color, photometric: 6, depth: 8 }), 'YCbCr that is not compressed by JPEG'],
      [withPrecision(jpeg, 12), 'a JPEG of 12 bits'],
    ] as const) {
      const error = await readImage(bytes, { name: 'scan' }).catch((caught) => caught);
      expect([what, isLiifError(error, 'UnsupportedError')]).toEqual([what, true]);
      expect(error.message).toMatch(new RegExp(`^scan: ${what}.* cannot be read; `));
      expect(error.message).not.toContain('tolerant');
    }
  });

  it('refuses what is no image, an empty file and a cut one, each with its reason', async () => {
    const text = await readImage(Buffer.from('hello, world'), { name: 'notes.txt' }).catch((e) => e);
    expect(isLiifError(text, 'UnsupportedError')).toBe(true);
    expect(text.message).toMatch(/^notes\.txt: not an image/);
    expect(await readImage(new Uint8Array()).catch((e) => e)).toBeInstanceOf(ImageError);
    const whole = await sharp(noise(64 * 64 * 3, 8), { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg()
      .toBuffer();
    const cut = await readImage(whole.subarray(0, whole.length >> 1), { name: 'cut.jpg' }).catch((e) => e);
    expect(cut).toBeInstanceOf(ImageError);
    expect(cut.message).toMatch(/^cut\.jpg: the image cannot be decoded: /);
    expect(cut.message).not.toContain('\n');
    const { raster } = await readImage(whole.subarray(0, whole.length >> 1), { tolerant: true });
    expect(raster.height).toBe(64);
  });

  // There it can be seen; on Windows such a file cannot be removed.
  it.runIf(process.platform === 'linux').each(['jpg', 'png', 'webp', 'tif', 'avif', 'gif'])(
    'leaves no file open: .%s',
    async (ending) => {
      const path = join(folder, `closed.${ending}`);
      await sharp(noise(64 * 64 * 3, 8), { raw: { width: 64, height: 64, channels: 3 } }).toFile(path);
      await readImage(path);
      const open = await readdir('/proc/self/fd');
      const paths = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
      expect(paths).not.toContain(path);
    },
  );

  it('refuses more pixels than asked for before decoding them', async () => {
    const error = await readImage(await png(noise(100, 8), 10, 10, 1), { maxPixels: 99 }).catch((e) => e);
    expect(isLiifError(error, 'UnsupportedError')).toBe(true);
    expect(error.message).toContain('99 pixels');
  });
});

/** A TIFF of one pixel, `extra`: what its last samples are. TIFF 6.0. */
function plainTiff({
  photometric,
  samples,
  depth,
  extra,
}: {
  readonly photometric: number;
  readonly samples: readonly number[];
  readonly depth: 8 | 16;
  readonly extra: readonly number[];
}): Buffer {
  const count = samples.length;
  const bits = 8 + 2 + 12 * 11 + 4;
  const pixel = bits + 2 * count;
  const fields: [tag: number, type: 3 | 4, count: number, value: number][] = [
    [256, 3, 1, 1],
    [257, 3, 1, 1],
    count > 2 ? [258, 3, count, bits] : [258, 3, count, depth * 0x10001],
    [259, 3, 1, 1],
    [262, 3, 1, photometric],
    [273, 4, 1, pixel],
    [277, 3, 1, count],
    [278, 3, 1, 1],
    [279, 4, 1, (count * depth) / 8],
    [284, 3, 1, 1],
    [338, 3, extra.length, extra.reduce((sum, value, i) => sum + value * 2 ** (16 * i), 0)],
  ];
  const tiff = Buffer.alloc(pixel + (count * depth) / 8);
  tiff.write('II*', 'latin1');
  tiff.writeUInt32LE(8, 4);
  tiff.writeUInt16LE(fields.length, 8);
  for (const [i, [tag, type, length, value]] of fields.entries()) {
    tiff.writeUInt16LE(tag, 10 + 12 * i);
    tiff.writeUInt16LE(type, 12 + 12 * i);
    tiff.writeUInt32LE(length, 14 + 12 * i);
    tiff.writeUInt32LE(value, 18 + 12 * i);
  }
  for (const [i, value] of samples.entries()) {
    tiff.writeUInt16LE(depth, bits + 2 * i);
    if (depth === 16) tiff.writeUInt16LE(257 * value, pixel + 2 * i);
    else tiff.writeUInt8(value, pixel + i);
  }
  return tiff;
}

/** A TIFF with another value of a field. */
function withField(tiff: Buffer, tag: number, value: number): Buffer {
  const changed = Buffer.from(tiff);
  const directory = changed.readUInt32LE(4);
  for (let at = directory + 2; ; at += 12)
    if (changed.readUInt16LE(at) === tag) {
      changed.writeUInt16LE(value, at + 8);
      return changed;
    }
}

/** A JPEG that says its samples have so many bits. */
function withPrecision(jpeg: Buffer, bits: number): Buffer {
  const changed = Buffer.from(jpeg);
  changed[changed.indexOf(Buffer.of(0xff, 0xc0)) + 4] = bits;
  return changed;
}

function orientationOf(exif: Uint8Array): number | undefined {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  const little = view.getUint16(0) === 0x4949;
  const start = view.getUint32(4, little);
  for (let i = 0; i < view.getUint16(start, little); i++) {
    const at = start + 2 + 12 * i;
    if (view.getUint16(at, little) === 0x0112) return view.getUint16(at + 8, little);
  }
  return undefined;
}
