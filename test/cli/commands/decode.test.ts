import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readImage } from '../../../src/image/read.ts';
import { encodeFile } from '../../../src/node.ts';
import { finished, runLiif, runProcess, startLiif } from '../run-liif.ts';
import { expectFailure, useWorkbench } from '../workbench.ts';

const bench = useWorkbench();

describe('liif decode', () => {
  it.each([
    ['a.png', [], 40, 24, 'uchar'],
    ['a.tif', ['--depth', '16', '--scale', '2'], 80, 48, 'ushort'],
    ['a.jpg', ['--width', '20', '--quality', '50'], 20, 12, 'uchar'],
    ['a.webp', ['--region', '4,2.5,8,4', '--height', '32'], 64, 32, 'uchar'],
    ['a.avif', ['--scale', '1/2'], 20, 12, 'uchar'],
    ['a.dat', ['--format', 'png', '--width', '7', '--height', '9'], 7, 9, 'uchar'],
  ] as const)('writes %s with %j', async (name, options, width, height, depth) => {
    const out = join(bench.folder, name);
    const { code, stderr, stdout } = await runLiif(['decode', bench.photoFile, '-o', out, ...options]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.toString()).toContain(`${width} x ${height} pixels`);
    const metadata = await sharp(out).metadata();
    expect([metadata.width, metadata.height, metadata.depth]).toEqual([width, height, depth]);
    expect(await readdir(bench.folder)).toEqual([name]);
  });

  it('says as JSON what the samples are', async () => {
    const args = ['decode', bench.photoFile, '-o', join(bench.folder, 'a.png'), '--json'];
    const { stdout } = await runLiif(args);
    expect(JSON.parse(stdout.toString())).toMatchObject({ channels: 3, depth: 8, colorSpace: 'srgb' });
  });

  it('says how many channels a gray picture has in each format', async () => {
    const gray = join(bench.folder, 'gray.liif');
    const data = Uint8Array.from({ length: 16 * 16 * 2 }, (_, i) => (i % 2 ? 128 : i & 255));
    await encodeFile({ width: 16, height: 16, channels: 2, data }, gray);
    for (const ending of ['png', 'jpg', 'webp', 'avif']) {
      const out = join(bench.folder, `gray.${ending}`);
      const { stdout } = await runLiif(['decode', gray, '-o', out, '--json']);
      const { channels } = await sharp(out).metadata();
      expect(JSON.parse(stdout.toString()), ending).toMatchObject({ channels });
    }
  });

  it('writes metadata of the file on request, and says what has no place', async () => {
    const image = sharp(bench.photo).withExif({ IFD0: { Copyright: 'somebody' } });
    const tagged = join(bench.folder, 'tagged.liif');
    await encodeFile(await image.jpeg().toBuffer(), tagged, { keepMetadata: true });
    const decoded = async (name: string, ...options: string[]) => {
      const output = join(bench.folder, name);
      const { code, stderr } = await runLiif(['decode', tagged, '-o', output, ...options]);
      expect(code).toBe(0);
      const { exif } = await sharp(output).metadata();
      return { exif: exif && Buffer.from(exif).includes('somebody'), stderr };
    };
    expect(await decoded('a.jpg', '--keep-metadata')).toEqual({ exif: true, stderr: '' });
    expect(await decoded('b.jpg')).toEqual({ exif: undefined, stderr: '' });
    const { exif, stderr } = await decoded('a.tif', '--keep-metadata');
    expect(exif).toBeUndefined();
    expect(stderr).toMatch(/EXIF is left out: it is not written into a TIFF/);
    const standard = await runLiif(['decode', tagged, '-o', '-', '--keep-metadata']);
    expect((await sharp(standard.stdout).metadata()).exif?.includes('somebody')).toBe(true);
  });

  it('gives the same samples to standard output, raw and as PNG, from standard input', async () => {
    const raw = await runLiif(['decode', bench.photoFile, '-o', '-', '--format', 'raw']);
    const png = await runProcess(['decode', '-', '-o', '-'], await readFile(bench.photoFile));
    expect([raw.code, png.code]).toEqual([0, 0]);
    expect(raw.stdout.length).toBe(40 * 24 * 3);
    const { raster } = await readImage(png.stdout);
    expect(Buffer.from(raster.data).equals(raw.stdout)).toBe(true);
    const original = await readImage(bench.photo);
    let error = 0;
    for (const [i, sample] of raster.data.entries()) error += Math.abs(sample - original.raster.data[i]!);
    expect(error / raster.data.length).toBeLessThan(12);
  });

  it('decodes what globs find into a folder, and goes on after a failure', async () => {
    const at = (name: string) => join(bench.folder, name);
    for (const name of ['a.liif', 'c.liif']) await copyFile(bench.photoFile, at(name));
    await writeFile(at('b.liif'), 'no picture');
    const { code, stdout, stderr } = await runLiif([
      ...['decode', at('*.liif'), '-o', at('out'), '--format', 'jpeg', '--width', '20', '--json'],
    ]);
    expect([code, stderr]).toEqual([
      4,
      expect.stringMatching(/^liif: .*b\.liif: .*not a \.liif file; liif encode makes one of an image\n$/),
    ]);
    expect((await readdir(at('out'))).sort()).toEqual(['a.jpg', 'c.jpg']);
    const records = stdout.toString().trim().split('\n');
    expect(records.map((line) => JSON.parse(line).output)).toEqual([at('out/a.jpg'), at('out/c.jpg')]);
    expect((await sharp(at('out/c.jpg')).metadata()).width).toBe(20);
  });

  it('gives an image in a folder the name of its picture, and makes PNGs where nothing else is said', async () => {
    const { code, stderr } = await runLiif(['decode', bench.photoFile, '-o', `${bench.folder}/`]);
    expect([code, stderr]).toEqual([0, '']);
    expect(await readdir(bench.folder)).toEqual(['photo.png']);
    expect((await sharp(join(bench.folder, 'photo.png')).metadata()).format).toBe('png');
  });

  it('says how outputs of several inputs are named, and writes nothing', async () => {
    const at = (name: string) => join(bench.folder, name);
    await copyFile(bench.photoFile, at('photo.liif'));
    await expectFailure(['decode', bench.photoFile, at('x.png')], 2, /name the output with -o/);
    await expectFailure(['decode', bench.photoFile, at('photo.liif')], 2, /-o FOLDER/);
    const both = ['decode', bench.photoFile, at('photo.liif')];
    await expectFailure([...both, '-o', `${at('out')}/`], 2, /would both become .*photo\.png/);
    await expectFailure([...both, '-o', at('x.png')], 2, /need a folder/);
    await expectFailure([...both, '-o', '-'], 2, /Only one picture fits into standard output/);
    await expectFailure(['decode', '-', '-o', bench.folder], 2, /Standard input has no name/);
    expect(await readdir(bench.folder)).toEqual(['photo.liif']);
  });

  it('says that TensorFlow.js is approximate, unless nothing is to be said', async () => {
    const args = ['decode', bench.photoFile, '--engine', 'tensorflow', '-o', join(bench.folder, 'a.png')];
    const { code, stderr } = await runLiif(args);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^liif: warning: tensorflow is approximate/)]);
    const quiet = await runLiif([...args, '--quiet']);
    expect([quiet.code, quiet.stderr]).toEqual([0, '']);
  });

  it('answers requests that cannot be with code 2', async () => {
    const out = join(bench.folder, 'x.png');
    await expectFailure(
      ['decode', bench.photoFile, '-o', out, '--region', '30,0,11,5'],
      2,
      /reaches outside the picture of 40 x 24/,
    );
    await expectFailure(
      ['decode', bench.photoFile, '-o', join(bench.folder, 'x.jpg'), '--depth', '16'],
      2,
      /8 bits a sample, not 16; ask for depth 8/,
    );
    await expectFailure(['decode', bench.photoFile, '-o', out, '--quality', '50'], 2, /lossless/);
    await expectFailure(
      ['decode', bench.photoFile, '-o', bench.photoFile, '--format', 'png'],
      2,
      /is the input/,
    );
    expect(await readdir(bench.folder)).toEqual([]);
  });

  it('answers bad files with codes 3, 4 and 5, and leaves no output', async () => {
    const bad = join(bench.folder, 'bad.liif');
    const out = join(bench.folder, 'out.png');
    const good = await readFile(bench.photoFile);
    await expectFailure(['decode', join(bench.folder, 'no.liif'), '-o', out], 3, /no\.liif: no such file/);
    await expectFailure(['decode', bench.photo, '-o', out], 4, /photo\.png: .*not a \.liif file/);
    await writeFile(bad, good.subarray(0, good.length - 5));
    await expectFailure(['decode', bad, '-o', out], 4, /bad\.liif: .*the file ends/);
    const flipped = Buffer.from(good);
    flipped[good.length - 3]! ^= 1;
    await writeFile(bad, flipped);
    // An engine is open by then, and does not keep the process from ending.
    await expectFailure(
      ['decode', bad, '-o', out],
      4,
      /bad\.liif: chunk at byte \d+: .*CRC/,
      undefined,
      runProcess,
    );
    const newer = Buffer.from(good);
    newer[8] = 9;
    await writeFile(bad, newer);
    await expectFailure(['decode', bad, '-o', out], 5, /version 9/);
    expect(await readdir(bench.folder)).toEqual(['bad.liif']);
    await expectFailure(
      ['decode', bench.photoFile, '-o', join(bench.folder, 'no/x.png')],
      6,
      /the folder does not exist/,
    );
  });

  it.each([
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('leaves nothing behind when it is stopped by %s', async (signal, code) => {
    const target = join(bench.folder, 'large.png');
    await writeFile(target, 'an older file');
    const args = ['decode', bench.photoFile, '-o', target, '--scale', '64', '--engine', 'reference'];
    const child = startLiif(args);
    const result = finished(child);
    while ((await readdir(bench.folder)).length < 2) {
      expect(child.exitCode, 'it ended before it could be stopped').toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill(signal);
    expect((await result).code).toBe(code);
    expect((await result).stderr).toMatch(/^liif: interrupted/);
    expect(await readdir(bench.folder)).toEqual(['large.png']);
    expect(await readFile(target, 'utf8')).toBe('an older file');
  });

  it('warns in one line of its own where another engine stands in, and not at all with --quiet', async () => {
    const args = ['decode', bench.photoFile, '-o', join(bench.folder, 'a.png'), '--engine', 'webgpu'];
    // Dawn may have words of its own about the drivers that it does not find.
    const env = { ...process.env, LIIF_GPU: 'a card of no such name' };
    const told = await finished(startLiif(args, { env }));
    expect(told.stderr).toMatch(/^liif: warning: .*; the wasm engine stands in$/m);
    expect(told.stderr).not.toContain('(node:');
    const quiet = await finished(startLiif([...args, '--quiet'], { env }));
    expect([quiet.code, quiet.stderr]).toEqual([0, expect.not.stringContaining('stands in')]);
  });

  it('leaves nothing behind when the disk is full', async () => {
    const args = ['decode', bench.photoFile, '-o', '/dev/full', '--format', 'raw', '--engine', 'wasm'];
    await expectFailure(args, 6, /\/dev\/full: cannot be written: /);
  });
});
