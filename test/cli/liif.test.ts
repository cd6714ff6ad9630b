import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readImage } from '../../src/image/read.ts';
import { VERSION } from '../../src/version.ts';
import { finished, runLiif, startLiif } from './run-liif.ts';

/** Pictures and their files, made once. */
let shared: string;
let photo: string;
let photoFile: string;
/** A folder of each test. */
let folder: string;

beforeAll(async () => {
  shared = await mkdtemp(join(tmpdir(), 'liif-cli-shared-'));
  photo = join(shared, 'photo.png');
  photoFile = join(shared, 'photo.liif');
  await writePicture(photo, 40, 24);
  const { code, stderr } = await runLiif(['encode', photo, '-o', photoFile]);
  expect([code, stderr]).toEqual([0, '']);
});
afterAll(() => rm(shared, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function writePicture(path: string, width: number, height: number): Promise<void> {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++)
    data[i] = 90 + 60 * Math.sin(i / 90) + (Math.imul(i, 2654435761) >>> 28);
  await sharp(data, { raw: { width, height, channels: 3 } }).toFile(path);
}

/** Expects one line on standard error that fits, and this code. */
async function expectFailure(args: string[], code: number, line: RegExp, stdin?: Uint8Array): Promise<void> {
  const result = await runLiif(args, stdin);
  expect(result.stderr).toMatch(line);
  expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(result.stderr).toMatch(/^liif: /);
  expect(result.stderr).not.toMatch(/^\s+at /m);
  expect(result.code).toBe(code);
  expect(result.stdout.length).toBe(0);
}

describe('liif', () => {
  it('prints its version', async () => {
    const { code, stdout } = await runLiif(['--version']);
    expect([code, stdout.toString()]).toEqual([0, `${VERSION}\n`]);
  });

  it('lists commands and exit codes in its help', async () => {
    const { code, stdout } = await runLiif(['--help']);
    expect(code).toBe(0);
    for (const text of ['encode', 'decode', 'info', 'verify', 'compare', 'Exit codes:', '130'])
      expect(stdout.toString()).toContain(text);
  });

  it.each([
    [['encode', 'x.png', '--nope'], /unknown option '--nope'; see liif encode --help/],
    [['frobnicate'], /unknown command 'frobnicate'.*see liif --help/],
    [['encode'], /missing required argument 'input'/],
    [['encode', 'x.png', '-q', '0'], /--quality.*'0' is invalid.*1 to 100/],
    [['encode', 'x.png', '-q', '60', '--target-size', '9k'], /cannot be used with/],
    [['encode', 'x.png', '--target-size', 'big'], /80k, 1\.5M/],
    [['decode', 'x.liif'], /-o FILE/],
    [['decode', 'x.liif', '-o', 'x.bmp'], /ending names no format/],
    [['decode', 'x.liif', '-o', 'x.png', '--region', '1,2,3'], /x,y,width,height/],
    [['decode', 'x.liif', '-o', 'x.png', '--scale', '0'], /greater than 0/],
    [['decode', 'x.liif', '-o', 'x.png', '--scale', '2', '--width', '9'], /cannot be used with/],
  ])('answers wrong usage with code 2 and one line: %j', (args, line) => expectFailure(args, 2, line));
});

describe('liif encode', () => {
  it('puts the file beside the input and sums up in one line', async () => {
    const input = join(folder, 'a.png');
    await copyFile(photo, input);
    const { code, stdout, stderr } = await runLiif(['encode', input]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.toString()).toMatch(/a\.png -> .*a\.liif: 40 x 24, quality 60, .* bits per pixel, .*s\n$/);
    expect((await readdir(folder)).sort()).toEqual(['a.liif', 'a.png']);
    expect(await readFile(join(folder, 'a.liif'))).toEqual(await readFile(photoFile));
  });

  it('reads standard input and writes standard output', async () => {
    const { code, stdout, stderr } = await runLiif(['encode', '-'], await readFile(photo));
    expect(code).toBe(0);
    expect(stdout.equals(await readFile(photoFile))).toBe(true);
    expect(stderr).toMatch(/^standard input -> -: /);
  });

  it('encodes what a glob finds into a folder, and goes on after a failure', async () => {
    await mkdir(join(folder, 'in'));
    await copyFile(photo, join(folder, 'in/a.png'));
    await writeFile(join(folder, 'in/b.png'), 'no image');
    await copyFile(photo, join(folder, 'in/c.png'));
    const out = join(folder, 'out');
    const { code, stdout, stderr } = await runLiif(['encode', join(folder, 'in/*.png'), '-o', out, '--json']);
    expect(code).toBe(5);
    expect(stderr).toMatch(/^liif: .*b\.png: not an image in a format that can be read.*\n$/);
    expect((await readdir(out)).sort()).toEqual(['a.liif', 'c.liif']);
    const records = stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records).toHaveLength(2);
    expect(records[0]).toMatchObject({ width: 40, height: 24, quality: 60, channels: 3, depth: 8 });
    expect(records[0].bytes).toBe((await readFile(join(out, 'a.liif'))).length);
  });

  it('meets a target size', async () => {
    const bytes = (await readFile(photoFile)).length;
    const out = join(folder, 'small.liif');
    const { code, stdout } = await runLiif([
      'encode',
      photo,
      '-o',
      out,
      '--target-size',
      `${bytes - 1}`,
      '--json',
    ]);
    expect(code).toBe(0);
    expect((await readFile(out)).length).toBeLessThan(bytes);
    expect(JSON.parse(stdout.toString()).quality).toBeLessThan(60);
    await expectFailure(
      ['encode', photo, '-o', join(folder, 'never.liif'), '--target-size', '20'],
      2,
      /photo\.png: The picture does not fit into 20 bytes/,
    );
    expect(await readdir(folder)).toEqual(['small.liif']);
  });

  it('carries metadata on request', async () => {
    const input = join(folder, 'tagged.jpg');
    await sharp(photo)
      .withIccProfile('p3')
      .withExif({ IFD0: { Copyright: 'somebody' } })
      .jpeg()
      .toFile(input);
    await runLiif(['encode', input, '--keep-metadata']);
    const { stdout } = await runLiif(['info', join(folder, 'tagged.liif'), '--json']);
    const types = JSON.parse(stdout.toString()).sections.map(({ type }: { type: string }) => type);
    expect(types.sort()).toEqual(['exif', 'icc']);
    await runLiif(['encode', input]);
    const plain = await runLiif(['info', join(folder, 'tagged.liif'), '--json']);
    expect(JSON.parse(plain.stdout.toString()).sections).toEqual([]);
  });

  it('names what it cannot read: a missing file, a folder, a cut image', async () => {
    await expectFailure(['encode', join(folder, 'no.png')], 3, /no\.png: no such file/);
    await expectFailure(['encode', join(folder, '*.jpg')], 3, /\*\.jpg: no file matches/);
    await expectFailure(['encode', folder, '-o', join(folder, 'x.liif')], 3, /is a directory/);
    const cut = join(folder, 'cut.png');
    const whole = await readFile(photo);
    await writeFile(cut, whole.subarray(0, whole.length / 2));
    await expectFailure(['encode', cut], 4, /cut\.png: the image cannot be decoded: /);
    await expectFailure(['encode', '-'], 3, /standard input: is empty/, new Uint8Array());
    expect(await readdir(folder)).toEqual(['cut.png']);
  });

  it('never writes over its input, two outputs into one, or where it cannot', async () => {
    const input = join(folder, 'a.png');
    await copyFile(photo, input);
    await symlink('a.png', join(folder, 'link.liif'));
    await expectFailure(['encode', input, '-o', input], 2, /is the input/);
    await expectFailure(['encode', input, '-o', join(folder, 'link.liif')], 2, /is the input/);
    await copyFile(photo, join(folder, 'a.jpg'));
    await expectFailure(['encode', input, join(folder, 'a.jpg')], 2, /would both become .*a\.liif/);
    await expectFailure(['encode', input, join(folder, 'a.jpg'), '-o', photo], 2, /need a folder/);
    await expectFailure(['encode', input, '-o', join(folder, 'no/a.liif')], 6, /the folder does not exist/);
    await expectFailure(['encode', input, '-o', join(input, 'a.liif')], 6, /cannot be written/);
    expect(await readFile(input)).toEqual(await readFile(photo));
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('leaves nothing behind when it is stopped by %s', async (signal, code) => {
    const input = join(folder, 'large.png');
    await writePicture(input, 160, 160);
    const target = join(folder, 'large.liif');
    await writeFile(target, 'an older file');
    // The search for a size takes the plain engine long enough to be caught in the midst of it.
    const child = startLiif(['encode', input, '--target-size', '4k', '--engine', 'reference']);
    const result = finished(child);
    while ((await readdir(folder)).length < 3) {
      expect(child.exitCode, 'it ended before it could be stopped').toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill(signal);
    expect((await result).code).toBe(code);
    expect((await result).stderr).toMatch(/^liif: interrupted/);
    expect((await readdir(folder)).sort()).toEqual(['large.liif', 'large.png']);
    expect(await readFile(target, 'utf8')).toBe('an older file');
  });
});

describe('liif decode', () => {
  it.each([
    ['a.png', [], 40, 24, 'uchar'],
    ['a.tif', ['--depth', '16', '--scale', '2'], 80, 48, 'ushort'],
    ['a.jpg', ['--width', '20', '--quality', '50'], 20, 12, 'uchar'],
    ['a.webp', ['--region', '4,2.5,8,4', '--height', '32'], 64, 32, 'uchar'],
    ['a.avif', ['--scale', '1/2'], 20, 12, 'uchar'],
    ['a.dat', ['--format', 'png', '--width', '7', '--height', '9'], 7, 9, 'uchar'],
  ] as const)('writes %s with %j', async (name, options, width, height, depth) => {
    const out = join(folder, name);
    const { code, stderr, stdout } = await runLiif(['decode', photoFile, '-o', out, ...options]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.toString()).toContain(`${width} x ${height} pixels`);
    const metadata = await sharp(out).metadata();
    expect([metadata.width, metadata.height, metadata.depth]).toEqual([width, height, depth]);
    expect(await readdir(folder)).toEqual([name]);
  });

  it('gives the same samples to standard output, raw and as PNG, from standard input', async () => {
    const raw = await runLiif(['decode', photoFile, '-o', '-', '--format', 'raw']);
    const png = await runLiif(['decode', '-', '-o', '-'], await readFile(photoFile));
    expect([raw.code, png.code]).toEqual([0, 0]);
    expect(raw.stdout.length).toBe(40 * 24 * 3);
    const { raster } = await readImage(png.stdout);
    expect(Buffer.from(raster.data).equals(raw.stdout)).toBe(true);
    const original = await readImage(photo);
    let error = 0;
    for (const [i, sample] of raster.data.entries()) error += Math.abs(sample - original.raster.data[i]!);
    expect(error / raster.data.length).toBeLessThan(12);
  });

  it('answers requests that cannot be with code 2', async () => {
    const out = join(folder, 'x.png');
    await expectFailure(
      ['decode', photoFile, '-o', out, '--region', '30,0,11,5'],
      2,
      /reaches outside the picture of 40 x 24/,
    );
    await expectFailure(
      ['decode', photoFile, '-o', join(folder, 'x.jpg'), '--depth', '16'],
      2,
      /8 bits a sample, not 16; ask for depth 8/,
    );
    await expectFailure(['decode', photoFile, '-o', out, '--quality', '50'], 2, /lossless/);
    await expectFailure(['decode', photoFile, '-o', photoFile, '--format', 'png'], 2, /is the input/);
    expect(await readdir(folder)).toEqual([]);
  });

  it('answers bad files with codes 3, 4 and 5, and leaves no output', async () => {
    const bad = join(folder, 'bad.liif');
    const out = join(folder, 'out.png');
    const good = await readFile(photoFile);
    await expectFailure(['decode', join(folder, 'no.liif'), '-o', out], 3, /no\.liif: no such file/);
    await expectFailure(['decode', photo, '-o', out], 4, /photo\.png: .*not a \.liif file/);
    await writeFile(bad, good.subarray(0, good.length - 5));
    await expectFailure(['decode', bad, '-o', out], 4, /bad\.liif: .*the file ends/);
    const flipped = Buffer.from(good);
    flipped[good.length - 3]! ^= 1;
    await writeFile(bad, flipped);
    await expectFailure(['decode', bad, '-o', out], 4, /bad\.liif: chunk at byte \d+: .*CRC/);
    const newer = Buffer.from(good);
    newer[8] = 9;
    await writeFile(bad, newer);
    await expectFailure(['decode', bad, '-o', out], 5, /version 9/);
    expect(await readdir(folder)).toEqual(['bad.liif']);
    await expectFailure(
      ['decode', photoFile, '-o', join(folder, 'no/x.png')],
      6,
      /the folder does not exist/,
    );
  });
});

describe('liif info, verify and compare', () => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    const bytes = await readFile(photoFile);
    server = createServer((request, response) => {
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
      if (request.url !== '/photo.liif' || !range) {
        response.writeHead(404).end();
        return;
      }
      const part = bytes.subarray(Number(range[1]), Number(range[2]) + 1);
      const first = Number(range[1]);
      response
        .writeHead(206, { 'content-range': `bytes ${first}-${first + part.length - 1}/${bytes.length}` })
        .end(part);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/photo.liif`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it('describe a file, also behind a URL', async () => {
    const text = await runLiif(['info', photoFile]);
    expect(text.code).toBe(0);
    expect(text.stdout.toString()).toMatch(/picture +40 x 24 pixels, RGB, from 8 bits/);
    const json = await runLiif(['info', url, '--json']);
    const record = JSON.parse(json.stdout.toString());
    const { length } = await readFile(photoFile);
    expect(record).toMatchObject({ width: 40, height: 24, quality: 60, bytes: length, alpha: false });
    expect(record.levels).toEqual([
      { level: 0, width: 40, height: 24, chunks: 1, bytes: expect.any(Number) },
    ]);
    expect(record.model).toMatch(/^[0-9a-f]{64}$/);
  });

  it('decode from a URL', async () => {
    const out = join(folder, 'x.png');
    expect((await runLiif(['decode', url, '-o', out])).code).toBe(0);
    expect(existsSync(out)).toBe(true);
    await expectFailure(['info', url.replace('photo', 'other')], 3, /other\.liif: the server answered 404/);
  });

  it('verify every chunk, and say where a file is damaged', async () => {
    const good = await runLiif(['verify', photoFile, url]);
    expect(good.code).toBe(0);
    expect(good.stdout.toString().trim().split('\n')).toHaveLength(2);
    const bad = join(folder, 'bad.liif');
    const bytes = await readFile(photoFile);
    bytes[bytes.length - 1]! ^= 0x80;
    await writeFile(bad, bytes);
    await expectFailure(['verify', bad], 4, /bad\.liif: chunk at byte \d+: the CRC/);
    const both = await runLiif(['verify', bad, photoFile, '--quick', '--json']);
    expect(both.code).toBe(4);
    expect(JSON.parse(both.stdout.toString())).toMatchObject({
      input: photoFile,
      valid: true,
      decoded: false,
    });
  });

  it('compare two pictures of any kind', async () => {
    const { code, stdout } = await runLiif(['compare', photo, photoFile, '--json']);
    expect(code).toBe(0);
    const record = JSON.parse(stdout.toString());
    expect(record.psnr).toBeGreaterThan(24);
    expect(record.psnr).toBeLessThan(60);
    expect(record.msSsim).toBeGreaterThan(0.8);
    expect(record.msSsimScales).toBe(2);
    expect(record.b.bitsPerPixel).toBeCloseTo((8 * (await readFile(photoFile)).length) / (40 * 24), 9);
    const same = await runLiif(['compare', photo, photo]);
    expect(same.stdout.toString()).toMatch(/^40 x 24 pixels: identical, MS-SSIM 1\.00000/);
    const other = join(folder, 'other.png');
    await writePicture(other, 41, 24);
    await expectFailure(['compare', photo, other], 2, /40 x 24 and 41 x 24 pixels cannot be compared/);
  });
});
