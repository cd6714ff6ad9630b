import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isLiifError } from '../../src/errors.ts';
import { AtomicFile } from '../../src/image/atomic-file.ts';
import { profiledColors, shaperOf } from '../../src/image/color/icc.ts';
import { toSrgb } from '../../src/image/color/to-srgb.ts';
import { OutputError } from '../../src/image/errors.ts';
import { formatOfPath } from '../../src/image/formats.ts';
import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';
import { formatImage, type ImageBands, writeImage, writeImageTo } from '../../src/image/write.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-write-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function picture(channels: 1 | 2 | 3 | 4, depth: 8 | 16, width = 37, height = 29): Raster {
  const count = width * height * channels;
  const data = depth === 16 ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) data[i] = Math.imul(i + 1, 2654435761) >>> (32 - depth);
  return { width, height, channels, data };
}

/** The raster in bands of a few rows. */
function banded(raster: Raster, rows: number): ImageBands {
  const line = raster.width * raster.channels;
  return {
    width: raster.width,
    height: raster.height,
    channels: raster.channels,
    depth: raster.data instanceof Uint16Array ? 16 : 8,
    bands: (function* () {
      for (let y = 0; y < raster.height; y += rows) {
        const height = Math.min(rows, raster.height - y);
        yield { ...raster, height, data: raster.data.slice(y * line, (y + height) * line) };
      }
    })(),
  };
}

/** The raster in bands, after which something fails. */
function failing(raster: Raster): ImageBands {
  return {
    ...banded(raster, 5),
    bands: (async function* () {
      yield* banded(raster, 5).bands as Iterable<Raster>;
      throw new Error('the file is damaged');
    })(),
  };
}

/** As a phone writes it that was held on its side. */
const XMP = Buffer.from(
  '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>',
);
const UPRIGHT_XMP = XMP.toString().replace('"6"', '"1"');

async function sidewaysExif(): Promise<Uint8Array> {
  const image = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
    .withExif({ IFD0: { Copyright: 'somebody' } })
    .withMetadata({ orientation: 6 })
    .png()
    .toBuffer();
  const { exif } = await sharp(image).metadata();
  return new Uint8Array(exif!);
}

describe('metadata in images', () => {
  it.each(['png', 'jpeg', 'webp', 'avif'] as const)('is written into %s, upright', async (format) => {
    const exif = await sidewaysExif();
    const before = Buffer.from(exif);
    const raster: Raster = { ...picture(3, 8), colorSpace: 'display-p3' };
    const warnings: string[] = [];
    const options = { metadata: { exif, xmp: XMP }, onWarning: (text: string) => warnings.push(text) };
    const bytes = await formatImage(raster, format, options);
    const found = await sharp(bytes).metadata();
    expect(Buffer.from(found.exif!).toString('latin1')).toContain('somebody');
    expect(found.orientation ?? 1).toBe(1);
    expect(Buffer.from(found.xmp!).toString()).toBe(UPRIGHT_XMP);
    expect(profiledColors(shaperOf(found.icc!)).colorSpace).toBe('display-p3');
    expect(warnings).toEqual([]);
    expect(Buffer.from(exif)).toEqual(before);
    // Nothing else changes.
    const plain = await sharp(await formatImage(raster, format))
      .raw()
      .toBuffer();
    expect(await sharp(bytes).raw().toBuffer()).toEqual(plain);
  });

  it.each([1, 2, 3, 4] as const)(
    'changes no sample of %i channels, in memory and in bands',
    async (channels) => {
      const exif = await sidewaysExif();
      for (const depth of [8, 16] as const)
        for (const memoryBytes of [0, 1e9]) {
          const raster = picture(channels, depth);
          const path = join(folder, 'tagged.png');
          await writeImage(banded(raster, 5), path, { memoryBytes, metadata: { exif, xmp: XMP } });
          expect(await readdir(folder)).toEqual(['tagged.png']);
          const { raster: read, metadata } = await readImage(path);
          expect(read).toEqual(raster);
          expect(Object.keys(metadata).sort()).toEqual(
            channels >= 3 ? ['exif', 'icc', 'xmp'] : ['exif', 'xmp'],
          );
        }
    },
  );

  it('is left out of a TIFF but for XMP, and of raw samples, and said so', async () => {
    const metadata = { exif: await sidewaysExif(), xmp: XMP };
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    const tiff = await sharp(await formatImage(picture(3, 16), 'tiff', { metadata, onWarning })).metadata();
    expect(tiff.depth).toBe('ushort');
    expect(tiff.density).toBe(72);
    expect(Buffer.from(tiff.xmp!).toString()).toBe(UPRIGHT_XMP);
    expect(warnings).toEqual([expect.stringMatching(/^EXIF is left out/)]);
    const stream = new PassThrough();
    const raw = buffer(stream);
    await writeImageTo(picture(3, 8), stream, 'raw', { metadata, onWarning });
    stream.end();
    expect(new Uint8Array(await raw)).toEqual(picture(3, 8).data);
    expect(warnings.slice(1)).toEqual([
      expect.stringMatching(/^EXIF is left out/),
      expect.stringMatching(/^XMP is left out/),
    ]);
  });

  it('leaves the density of images as it is', async () => {
    for (const format of ['jpeg', 'png', 'tiff'] as const) {
      const tagged = await formatImage(picture(3, 8), format, { metadata: { xmp: XMP } });
      const plain = await formatImage(picture(3, 8), format);
      const { density } = await sharp(plain).metadata();
      expect((await sharp(tagged).metadata()).density).toBe(density);
    }
  });

  it('is that of the call, whatever becomes of it after it', async () => {
    const xmp = new Uint8Array(XMP);
    const metadata = { xmp };
    const written = formatImage(picture(3, 8), 'png', { metadata });
    xmp.fill(0);
    expect(Buffer.from((await sharp(await written).metadata()).xmp!).toString()).toBe(UPRIGHT_XMP);
  });
});

describe('writeImage', () => {
  const shapes = ([1, 2, 3, 4] as const).flatMap((channels) =>
    ([8, 16] as const).flatMap((depth) =>
      (['png', 'tiff'] as const).map((format) => ({ channels, depth, format })),
    ),
  );
  it.each(shapes)(
    'keeps every sample: $channels channels, $depth bits, $format',
    async ({ channels, depth, format }) => {
      const raster = picture(channels, depth);
      const path = join(folder, `picture.${format}`);
      const summary = await writeImage(raster, path);
      expect(summary).toEqual({ format, bytes: (await stat(path)).size });
      const back = await readImage(path);
      expect(back.raster).toEqual(raster);
      expect(back.depth).toBe(depth);
    },
  );

  it.each(['png', 'tiff', 'jpeg', 'webp', 'avif'] as const)(
    'tags %s as what its colors are',
    async (format) => {
      for (const colorSpace of ['srgb', 'display-p3'] as const)
        for (const channels of [3, 4] as const) {
          const raster = { ...picture(channels, 8), colorSpace };
          const { icc } = await sharp(await formatImage(raster, format)).metadata();
          expect(profiledColors(shaperOf(icc!)).colorSpace).toBe(colorSpace);
        }
    },
  );

  it.each([
    [3, 8],
    [4, 8],
    [3, 16],
  ] as const)('keeps every sample of Display P3: %i channels, %i bits', async (channels, depth) => {
    const raster: Raster = { ...picture(channels, depth), colorSpace: 'display-p3' };
    for (const format of ['png', 'tiff'] as const)
      expect((await readImage(await formatImage(raster, format))).raster).toEqual(raster);
  });

  it('converts Display P3 to sRGB where that is wanted, whole and in bands', async () => {
    for (const depth of [8, 16] as const) {
      const raster: Raster = { ...picture(4, depth), colorSpace: 'display-p3' };
      const expected = toSrgb(raster);
      expect(expected.data).not.toEqual(raster.data);
      for (const image of [raster, { ...banded(raster, 5), colorSpace: 'display-p3' as const }]) {
        const { raster: read } = await readImage(await formatImage(image, 'png', { srgb: true }));
        expect(read).toEqual(expected);
      }
      const { data } = expected;
      expect(await formatImage(raster, 'raw', { srgb: true })).toEqual(
        Buffer.from(data.buffer, data.byteOffset, data.byteLength),
      );
    }
  });

  it('writes large images beside whatever there is', async () => {
    await mkdir(join(folder, 'liif-samples'));
    const raster = picture(3, 8);
    await writeImage(raster, join(folder, 'large.png'), { memoryBytes: 0 });
    expect((await readImage(join(folder, 'large.png'))).raster.data).toEqual(raster.data);
    expect((await readdir(folder)).sort()).toEqual(['large.png', 'liif-samples']);
  });

  it.skipIf(process.platform === 'win32')('keeps samples for a device away from its folder', async () => {
    const opened: string[] = [];
    const temporary = vi.spyOn(AtomicFile, 'temporary').mockImplementation(async (path) => {
      opened.push(path);
      throw new OutputError('no');
    });
    const written = writeImage(picture(3, 8), '/dev/null', { format: 'png', memoryBytes: 0 });
    await expect(written).rejects.toThrow(OutputError);
    temporary.mockRestore();
    expect(opened).toEqual([tmpdir()]);
  });

  it('leaves the samples of a Buffer as they are when it converts them', async () => {
    const { data, ...picture8 } = picture(3, 8);
    const given = Buffer.from(data as Uint8Array);
    const raster: Raster = { ...picture8, data: given, colorSpace: 'display-p3' };
    const format = () => formatImage(raster, 'png', { srgb: true });
    expect(await format()).toEqual(await format());
    await writeImage(raster, join(folder, 'p3.png'), { srgb: true });
    expect(new Uint8Array(given)).toEqual(data);
  });

  it('refuses colors of a space that it does not know', async () => {
    const raster = { ...picture(3, 8), colorSpace: 'rec2020' } as unknown as Raster;
    await expect(formatImage(raster, 'png')).rejects.toThrow(
      'color space of srgb or display-p3 but received "rec2020"',
    );
  });

  it.each(['png', 'tiff', 'jpeg'] as const)(
    'writes the same %s from bands through a temporary file',
    async (format) => {
      const raster = picture(3, 8, 300, 401);
      const path = join(folder, 'bands');
      await writeImage(banded(raster, 17), path, { format, memoryBytes: 1000 });
      expect(Buffer.from(await formatImage(raster, format)).equals(await readFile(path))).toBe(true);
      expect(await readdir(folder)).toEqual(['bands']);
    },
  );

  it('writes raw samples, 16 bits as two bytes each', async () => {
    const raster = picture(2, 16);
    const path = join(folder, 'samples.raw');
    await writeImage(banded(raster, 5), path);
    const bytes = await readFile(path);
    expect(bytes.length).toBe(37 * 29 * 2 * 2);
    expect(bytes.readUInt16LE(2 * 99)).toBe(raster.data[99]);
  });

  it('lays a picture with alpha on white in JPEG, and says so', async () => {
    const warnings: string[] = [];
    const clear: Raster = { width: 8, height: 8, channels: 4, data: new Uint8Array(256) };
    const bytes = await formatImage(clear, 'jpeg', { onWarning: (message) => warnings.push(message) });
    expect((await readImage(bytes)).raster.data.every((sample) => sample === 255)).toBe(true);
    expect(warnings).toEqual(['JPEG has no alpha: the picture is laid on white']);
  });

  it.each(['png', 'tiff'] as const)('says 72 pixels to an inch in %s, and nothing odd', async (format) => {
    for (const raster of [picture(3, 8), picture(2, 16)])
      expect((await sharp(await formatImage(raster, format)).metadata()).density).toBe(72);
  });

  it('writes JPEG as long as its library can, and refuses more before it begins', async () => {
    const side = 65_500;
    const long = (width: number): ImageBands => ({
      ...picture(1, 8, width, 1),
      depth: 8,
      bands: [picture(1, 8, width, 1)],
    });
    expect((await sharp(await formatImage(long(side), 'jpeg')).metadata()).width).toBe(side);
    await expect(formatImage(long(side + 1), 'jpeg')).rejects.toThrow(/JPEG holds at most 65500 pixels/);
  });

  it('halves the colors of a JPEG up to the default quality only', async () => {
    const subsampling = async (quality?: number) =>
      (await sharp(await formatImage(picture(3, 8), 'jpeg', { ...(quality && { quality }) })).metadata())
        .chromaSubsampling;
    expect(await Promise.all([undefined, 90, 91, 100].map(subsampling))).toEqual([
      '4:2:0',
      '4:2:0',
      '4:4:4',
      '4:4:4',
    ]);
  });

  it('takes the quality it is given', async () => {
    for (const format of ['jpeg', 'webp', 'avif'] as const) {
      const small = await formatImage(picture(3, 8), format, { quality: 10 });
      const large = await formatImage(picture(3, 8), format, { quality: 95 });
      expect(large.length).toBeGreaterThan(small.length * 1.5);
    }
  });

  it.each([
    [16, 'jpeg', {}, /8 bits a sample, not 16/],
    [16, 'webp', {}, /8 bits/],
    [16, 'avif', {}, /8 bits/],
    [8, 'png', { quality: 50 }, /lossless/],
    [8, 'jpeg', { quality: 0 }, /1 to 100 but received 0/],
  ] as const)(
    'refuses what the format cannot hold: %i bits as %s, %j',
    async (depth, format, options, reason) => {
      const path = join(folder, 'never');
      const error = await writeImage(picture(3, depth), path, { ...options, format }).catch((e) => e);
      expect(isLiifError(error, 'RequestError')).toBe(true);
      expect(error.message).toMatch(reason);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('refuses sides that the format cannot hold, and endings it does not know', async () => {
    const wide: Raster = { width: 20_000, height: 1, channels: 1, data: new Uint8Array(20_000) };
    expect((await formatImage(wide, 'webp').catch((e) => e)).message).toMatch(
      /at most 16383 .*write PNG or JPEG or TIFF or raw$/,
    );
    const wider: Raster = { width: 2 ** 24, height: 1, channels: 1, data: new Uint8Array(2 ** 24) };
    expect((await formatImage(wider, 'png').catch((e) => e)).message).toMatch(
      /at most 10000000 .*write raw$/,
    );
    expect((await writeImage(wide, join(folder, 'a.bmp')).catch((e) => e)).message).toMatch(
      /ending names no format/,
    );
    expect(formatOfPath('a/b.JPeG')).toBe('jpeg');
    expect(formatOfPath('png')).toBeUndefined();
  });

  it('leaves an old file alone and nothing else behind when the bands fail', async () => {
    const path = join(folder, 'old.png');
    await writeFile(path, 'old');
    const bands = failing(picture(3, 8));
    for (const memoryBytes of [0, 1e9]) {
      const error = await writeImage(bands, path, { memoryBytes }).catch((e) => e);
      expect(error).toBeInstanceOf(Error);
      expect(await readFile(path, 'utf8')).toBe('old');
      expect(await readdir(folder)).toEqual(['old.png']);
    }
  });

  it('leaves nothing behind when bands fail that are written with metadata', async () => {
    const path = join(folder, 'failed.jpg');
    const bands = failing(picture(3, 8));
    for (const memoryBytes of [0, 1e9]) {
      const written = writeImage(bands, path, { memoryBytes, metadata: { xmp: XMP } });
      await expect(written).rejects.toThrow(Error);
      expect(await readdir(folder)).toEqual([]);
    }
  });

  it('refuses samples that are neither bytes nor words of 16 bits', async () => {
    const data = new Float32Array(12) as unknown as Uint8Array;
    const error = await formatImage({ width: 2, height: 2, channels: 3, data }, 'png').catch((e) => e);
    expect(isLiifError(error, 'RequestError')).toBe(true);
    expect(error.message).toBe('Expected samples in a Uint8Array or Uint16Array but received Float32Array');
  });

  it('refuses bands of another color space than the picture, and says what to give', async () => {
    const raster: Raster = { ...picture(3, 8), colorSpace: 'display-p3' };
    const unsaid: ImageBands = { width: 37, height: 29, channels: 3, depth: 8, bands: [raster] };
    const error = await formatImage(unsaid, 'png').catch((caught) => caught);
    expect(isLiifError(error, 'RequestError')).toBe(true);
    expect(error.message).toMatch("give the picture of these bands colorSpace: 'display-p3'");
    const said = await formatImage({ ...unsaid, colorSpace: 'display-p3' }, 'png');
    expect(said).toEqual(await formatImage(raster, 'png'));
    expect(await formatImage(unsaid, 'png', { srgb: true })).toEqual(
      await formatImage(raster, 'png', { srgb: true }),
    );
  });

  it('refuses bands that do not fill the picture', async () => {
    const short = { ...banded(picture(3, 8), 5), height: 30 };
    expect((await formatImage(short, 'png').catch((e) => e)).message).toMatch(
      /29 rows where the picture has 30/,
    );
  });

  it('replaces the file that a link names, and keeps its mode', async () => {
    const target = join(folder, 'target.png');
    await writeFile(target, 'old', { mode: 0o600 });
    await symlink('target.png', join(folder, 'link.png'));
    await writeImage(picture(3, 8), join(folder, 'link.png'));
    expect((await readImage(target)).raster.width).toBe(37);
    expect((await stat(target)).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).sort()).toEqual(['link.png', 'target.png']);
  });

  it('follows a link to a file that does not exist yet, and keeps the link', async () => {
    await mkdir(join(folder, 'real/inner'), { recursive: true });
    await symlink('real/inner', join(folder, 'short'));
    await symlink('../new.png', join(folder, 'real/inner/link.png'));
    await writeImage(picture(3, 8), join(folder, 'short/link.png'));
    expect((await readImage(join(folder, 'real/new.png'))).raster.width).toBe(37);
    expect(await readlink(join(folder, 'real/inner/link.png'))).toBe('../new.png');
  });

  it('writes through links to open pipes, which have no path of their own, and leaves the links', async () => {
    const pipe = spawn('sh', ['-c', 'cat | sh -c "echo \\$\\$ >&2; exec cat"']);
    const [reader] = (await once(pipe.stderr, 'data')) as [Buffer];
    // As /dev/stdout is one: a link to a link to pipe:[...].
    const link = join(folder, 'stdout');
    await symlink(`/proc/${String(reader).trim()}/fd/0`, link);
    const { bytes } = await writeImage(picture(3, 8), link, { format: 'png' });
    pipe.stdin.end();
    const received = await buffer(pipe.stdout);
    expect(received.length).toBe(bytes);
    expect((await readImage(received)).raster).toEqual(picture(3, 8));
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readdir(folder)).toEqual(['stdout']);
  });

  it('writes names as long as they can be', async () => {
    const path = join(folder, `${'é'.repeat(125)}n.png`);
    await writeImage(picture(3, 8), path);
    expect((await readImage(path)).raster.width).toBe(37);
  });

  it('writes into devices', async () => {
    expect((await writeImage(picture(3, 8), '/dev/null', { format: 'png' })).bytes).toBeGreaterThan(100);
  });

  it('names the target that cannot be written', async () => {
    const missing = await writeImage(picture(3, 8), join(folder, 'no/such/a.png')).catch((e) => e);
    expect(missing).toBeInstanceOf(OutputError);
    expect(missing.message).toBe(
      `${join(folder, 'no/such/a.png')}: cannot be written: the folder does not exist`,
    );
    expect(await writeImage(picture(3, 8), folder, { format: 'png' }).catch((e) => e)).toBeInstanceOf(
      OutputError,
    );
  });

  it('streams an image', async () => {
    const stream = new PassThrough();
    const parts: Buffer[] = [];
    stream.on('data', (part) => parts.push(part));
    const { bytes } = await writeImageTo(picture(3, 8), stream, 'png');
    const all = Buffer.concat(parts);
    expect(all.length).toBe(bytes);
    expect((await readImage(all)).raster).toEqual(picture(3, 8));
  });
});
