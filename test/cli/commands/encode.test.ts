import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readImage } from '../../../src/image/read.ts';
import { attachProfile, builtInProfile } from '../../image/color/icc-profile.ts';
import { EXIF, raw } from '../../image/raw-tiff.ts';
import { finished, runLiif, runProcess, startLiif } from '../run-liif.ts';
import { expectFailure, useWorkbench, writePicture } from '../workbench.ts';

const bench = useWorkbench();
/** Optimizes in a part of the time that the released weights take. */
const SMALL = 'format-spec/vectors/models/small.safetensors';

describe('liif encode', () => {
  it('puts the file beside the input and sums up in one line', async () => {
    const input = join(bench.folder, 'a.png');
    await copyFile(bench.photo, input);
    // Named twice, it is one file all the same.
    const { code, stdout, stderr } = await runLiif(['encode', input, `${bench.folder}/./a.png`]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.toString()).toMatch(/a\.png -> .*a\.liif: 40 x 24, quality 60, .* bits per pixel, .*s\n$/);
    expect((await readdir(bench.folder)).sort()).toEqual(['a.liif', 'a.png']);
    expect(await readFile(join(bench.folder, 'a.liif'))).toEqual(await readFile(bench.photoFile));
  });

  it('reads standard input and writes standard output', async () => {
    const { code, stdout, stderr } = await runProcess(['encode', '-'], await readFile(bench.photo));
    expect(code).toBe(0);
    expect(stdout.equals(await readFile(bench.photoFile))).toBe(true);
    expect(stderr).toMatch(/^standard input -> standard output: /);
  });

  it('encodes what a glob finds into a folder, and goes on after a failure', async () => {
    await mkdir(join(bench.folder, 'in'));
    await copyFile(bench.photo, join(bench.folder, 'in/a.png'));
    await writeFile(join(bench.folder, 'in/b.png'), 'no image');
    await copyFile(bench.photo, join(bench.folder, 'in/c.png'));
    const out = join(bench.folder, 'out');
    const { code, stdout, stderr } = await runLiif([
      'encode',
      join(bench.folder, 'in/*.png'),
      '-o',
      out,
      '--json',
    ]);
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

  it('keeps colors beyond sRGB, or converts them', async () => {
    const wide = join(bench.folder, 'wide.png');
    await writeFile(wide, attachProfile(await readFile(bench.photo), await builtInProfile('p3')));
    const made = async (...options: string[]) => {
      const { code, stdout, stderr } = await runLiif(['encode', wide, '--json', ...options]);
      expect([code, stderr]).toEqual([0, '']);
      const { stdout: info } = await runLiif(['info', join(bench.folder, 'wide.liif')]);
      return [JSON.parse(stdout.toString()).colorSpace, info.toString()];
    };
    expect(await made()).toEqual(['display-p3', expect.stringContaining('pixels, RGB of Display P3, from')]);
    const decoded = join(bench.folder, 'decoded.png');
    expect((await runLiif(['decode', join(bench.folder, 'wide.liif'), '-o', decoded])).code).toBe(0);
    expect((await readImage(decoded)).raster.colorSpace).toBe('display-p3');
    expect((await runLiif(['decode', join(bench.folder, 'wide.liif'), '--srgb', '-o', decoded])).code).toBe(
      0,
    );
    expect((await readImage(decoded)).raster.colorSpace).toBeUndefined();
    expect(await made('--srgb')).toEqual(['srgb', expect.stringContaining('pixels, RGB, from')]);
  });

  it('says in one line that a HEIC is damaged, whatever its decoder prints', async () => {
    const whole = await readFile(new URL('../../fixtures/phone.heic', import.meta.url));
    const cut = join(bench.folder, 'cut.heic');
    await writeFile(cut, whole.subarray(0, -200));
    // Also by what it prints past the streams of Node.
    await expectFailure(
      ['encode', cut],
      4,
      /cut\.heic: the image cannot be decoded: /,
      undefined,
      runProcess,
    );
  });

  it('meets a target size', async () => {
    const bytes = (await readFile(bench.photoFile)).length;
    const out = join(bench.folder, 'small.liif');
    const { code, stdout } = await runLiif([
      'encode',
      bench.photo,
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
      ['encode', bench.photo, '-o', join(bench.folder, 'never.liif'), '--target-size', '20'],
      2,
      /photo\.png: The picture does not fit into 20 bytes/,
    );
    expect(await readdir(bench.folder)).toEqual(['small.liif']);
  });

  it('optimizes, in eight steps or as many as are asked for, and by the measure that is', async () => {
    const encoded = async (...options: string[]) => {
      const args = ['encode', bench.photo, '-o', '-', '--model', SMALL];
      const { code, stdout } = await runLiif([...args, ...options]);
      expect(code).toBe(0);
      return stdout;
    };
    const plain = await encoded();
    const optimized = await encoded('--optimize');
    expect(await encoded('--optimize-steps', '8')).toEqual(optimized);
    expect(await encoded('--optimize', '--optimize-steps', '1')).not.toEqual(optimized);
    expect(optimized).not.toEqual(plain);
    expect(await encoded('--optimize-for', 'ms-ssim')).toEqual(optimized);
    expect(await encoded('--optimize-for', 'psnr')).not.toEqual(optimized);
  });

  it('carries metadata on request', async () => {
    const input = join(bench.folder, 'tagged.jpg');
    await sharp(bench.photo)
      .withIccProfile('p3')
      .withExif({ IFD0: { Copyright: 'somebody' } })
      .jpeg()
      .toFile(input);
    await runLiif(['encode', input, '--keep-metadata']);
    const { stdout } = await runLiif(['info', join(bench.folder, 'tagged.liif'), '--json']);
    const types = JSON.parse(stdout.toString()).sections.map(({ type }: { type: string }) => type);
    expect(types.sort()).toEqual(['exif', 'icc']);
    await runLiif(['encode', input]);
    const plain = await runLiif(['info', join(bench.folder, 'tagged.liif'), '--json']);
    expect(JSON.parse(plain.stdout.toString()).sections).toEqual([]);
  });

  it('says where metadata that was asked for cannot be carried', async () => {
    const input = join(bench.folder, 'tagged.tif');
    await writeFile(input, raw({ first: [EXIF], below: false }));
    const warned = /tagged\.tif: has EXIF, which cannot be carried from a TIFF/;
    for (const option of ['--keep-metadata', '--exif'])
      expect((await runLiif(['encode', input, option])).stderr.toString()).toMatch(warned);
    expect((await runLiif(['encode', input])).stderr.toString()).not.toMatch(warned);
  });

  it('names what it cannot read: a missing file, a folder, a cut image', async () => {
    await expectFailure(['encode', join(bench.folder, 'no.png')], 3, /no\.png: no such file/);
    await expectFailure(['encode', join(bench.folder, '*.jpg')], 3, /\*\.jpg: no file matches/);
    await expectFailure(['encode', bench.folder, '-o', join(bench.folder, 'x.liif')], 3, /is a directory/);
    const cut = join(bench.folder, 'cut.png');
    const whole = await readFile(bench.photo);
    await writeFile(cut, whole.subarray(0, whole.length / 2));
    await expectFailure(['encode', cut], 4, /cut\.png: the image cannot be decoded: /);
    await expectFailure(['encode', '-'], 4, /standard input: is empty/, new Uint8Array());
    const empty = join(bench.folder, 'empty.png');
    await writeFile(empty, '');
    await expectFailure(['encode', empty], 4, /empty\.png: is empty/);
    expect(await readdir(bench.folder)).toEqual(['cut.png', 'empty.png']);
  });

  it('says how to name outputs and folders, and writes nothing', async () => {
    const at = (name: string) => join(bench.folder, name);
    const input = at('a.png');
    await copyFile(bench.photo, input);
    await copyFile(bench.photo, at('b.png'));
    await expectFailure(['encode', input, at('out.liif')], 2, /out\.liif: no such file; .* with -o /);
    await expectFailure(['encode', bench.photoFile], 2, /is a \.liif file already/);
    await expectFailure(['encode', bench.folder], 3, /is a directory; .*liif encode ".*\*"/);
    await expectFailure(['encode', input, at('b.png'), '-o', at('x.liif')], 2, /write .*x\.liif\/$/m);
    await expectFailure(['encode', input, '-o', at('x.png')], 2, /x\.png: is named like an image/);
    expect((await readdir(bench.folder)).sort()).toEqual(['a.png', 'b.png']);
  });

  it('encodes the others where one glob finds nothing', async () => {
    const input = join(bench.folder, 'a.png');
    await copyFile(bench.photo, input);
    const { code, stderr } = await runLiif([
      'encode',
      join(bench.folder, '*.tif'),
      join(bench.folder, '*.png'),
    ]);
    expect(stderr).toMatch(/^liif: .*\*\.tif: no such file\n$/);
    expect(code).toBe(3);
    expect((await readdir(bench.folder)).sort()).toEqual(['a.liif', 'a.png']);
  });

  it('reads named pipes and writes standard output by any of its names', async () => {
    const pipe = join(bench.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const [{ code, stdout, stderr }] = await Promise.all([
      runLiif(['encode', pipe, '-o', '/dev/stdout']),
      writeFile(pipe, await readFile(bench.photo)),
    ]);
    expect(code).toBe(0);
    expect(stdout.equals(await readFile(bench.photoFile))).toBe(true);
    expect(stderr).toMatch(/pipe -> standard output: 40 x 24/);
    const [info] = await Promise.all([
      runLiif(['info', pipe, '--json']),
      writeFile(pipe, await readFile(bench.photoFile)),
    ]);
    expect(JSON.parse(info.stdout.toString())).toMatchObject({ width: 40, height: 24 });
  });

  it('never writes over its input, two outputs into one, or where it cannot', async () => {
    const input = join(bench.folder, 'a.png');
    await copyFile(bench.photo, input);
    await symlink('a.png', join(bench.folder, 'link.liif'));
    await expectFailure(['encode', input, '-o', input], 2, /is the input/);
    await expectFailure(['encode', input, '-o', join(bench.folder, 'link.liif')], 2, /is the input/);
    await copyFile(bench.photo, join(bench.folder, 'a.jpg'));
    await expectFailure(['encode', input, join(bench.folder, 'a.jpg')], 2, /would both become .*a\.liif/);
    await expectFailure(
      ['encode', input, join(bench.folder, 'a.jpg'), '-o', bench.photo],
      2,
      /need a folder/,
    );
    const folder = join(bench.folder, 'made/for/nothing/');
    await expectFailure(['encode', input, join(bench.folder, 'a.jpg'), '-o', folder], 2, /would both become/);
    await expectFailure(
      ['encode', input, '-o', join(input, 'sub/')],
      6,
      /cannot be written: .* not a folder/,
    );
    expect(await readdir(bench.folder)).not.toContain('made');
    await expectFailure(
      ['encode', input, '-o', join(bench.folder, 'no/a.liif')],
      6,
      /the folder does not exist/,
    );
    await expectFailure(['encode', input, '-o', join(input, 'a.liif')], 6, /cannot be written/);
    expect(await readFile(input)).toEqual(await readFile(bench.photo));
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('leaves nothing behind when it is stopped by %s', async (signal, code) => {
    const input = join(bench.folder, 'large.png');
    await writePicture(input, 160, 160);
    const target = join(bench.folder, 'large.liif');
    await writeFile(target, 'an older file');
    // The search for a size takes the plain engine long enough to be caught in the midst of it.
    const child = startLiif(['encode', input, '--target-size', '4k', '--engine', 'reference']);
    const result = finished(child);
    while ((await readdir(bench.folder)).length < 3) {
      expect(child.exitCode, 'it ended before it could be stopped').toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill(signal);
    expect((await result).code).toBe(code);
    expect((await result).stderr).toMatch(/^liif: interrupted/);
    expect((await readdir(bench.folder)).sort()).toEqual(['large.liif', 'large.png']);
    expect(await readFile(target, 'utf8')).toBe('an older file');
  });
});
