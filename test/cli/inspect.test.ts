import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crcOf } from '../../src/container/crc32c.ts';
import { readImage } from '../../src/image/read.ts';
import { VERSION } from '../../src/version.ts';
import { attachProfile, builtInProfile } from '../image/color/icc-profile.ts';
import { runLiif, runProcess } from './run-liif.ts';
import { expectFailure, useWorkbench, writePicture } from './workbench.ts';

const bench = useWorkbench();

describe('liif info, verify and compare', () => {
  let server: Server;
  let url: string;
  let requests = 0;
  beforeAll(async () => {
    const bytes = await readFile(bench.photoFile);
    server = createServer((request, response) => {
      requests++;
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
    const text = await runLiif(['info', bench.photoFile]);
    expect(text.code).toBe(0);
    expect(text.stdout.toString()).toMatch(/picture +40 x 24 pixels, RGB, from 8 bits/);
    const json = await runProcess(['info', url, '--json']);
    const record = JSON.parse(json.stdout.toString());
    const { length } = await readFile(bench.photoFile);
    expect(record).toMatchObject({ width: 40, height: 24, quality: 60, bytes: length, alpha: false });
    expect(record.levels).toEqual([
      { level: 0, width: 40, height: 24, chunks: 1, bytes: expect.any(Number) },
    ]);
    expect(record.model).toMatch(/^[0-9a-f]{64}$/);
  });

  it('write the sections that were carried along, as they were', async () => {
    const photo = join(bench.folder, 'tagged.jpg');
    const file = join(bench.folder, 'tagged.liif');
    await sharp(bench.photo)
      .withExif({ IFD0: { Copyright: 'nobody' } })
      .withIccProfile('srgb')
      .toFile(photo);
    await runLiif(['encode', photo, '-o', file, '--keep-metadata']);
    const exif = await runLiif(['info', file, '--section', 'exif']);
    expect([exif.code, exif.stderr]).toEqual([0, '']);
    expect(exif.stdout).toEqual(Buffer.from((await readImage(photo)).metadata.exif!));
    expect(exif.stdout.includes('nobody')).toBe(true);
    await expectFailure(
      ['info', file, '--section', 'xmp'],
      2,
      /has no section xmp; its sections: icc, exif$/m,
    );
    await expectFailure(
      ['info', file, file, bench.photoFile, '--section', 'icc'],
      2,
      /of one file; name one/,
    );
  });

  it('show nothing that a file or its name would have the terminal do', async () => {
    const bytes = await readFile(bench.photoFile);
    const encoder = bytes.indexOf(`liif ${VERSION}`);
    bytes.write('\u001b[31m\n\n\u0007', encoder, 'latin1');
    const prefix = 16 + bytes.readUInt32LE(12);
    bytes.writeUInt32LE(crcOf(bytes.subarray(0, prefix)), prefix);
    const hostile = join(bench.folder, 'a\u001b[2J\nb.liif');
    await writeFile(hostile, bytes);
    const { code, stdout } = await runLiif(['info', hostile]);
    expect(code).toBe(0);
    const text = stdout.toString();
    expect(text).toMatch(/a\?\[2J\?b\.liif\n/);
    expect(text).toMatch(/^ {2}encoder +\?\[31m\?\?/m);
    expect(text).not.toMatch(/(?!\n)\p{Cc}/u);
  });

  it('decode from a URL', async () => {
    const out = join(bench.folder, 'x.png');
    expect((await runLiif(['decode', url, '-o', out])).code).toBe(0);
    expect(existsSync(out)).toBe(true);
    await expectFailure(['info', url.replace('photo', 'other')], 3, /other\.liif: the server answered 404/);
  });

  it('verify every chunk, and say where a file is damaged', async () => {
    const good = await runProcess(['verify', bench.photoFile, url]);
    expect(good.code).toBe(0);
    expect(good.stdout.toString().trim().split('\n')).toHaveLength(2);
    const bad = join(bench.folder, 'bad.liif');
    const bytes = await readFile(bench.photoFile);
    bytes[bytes.length - 1]! ^= 0x80;
    await writeFile(bad, bytes);
    await expectFailure(['verify', bad], 4, /bad\.liif: chunk at byte \d+: the CRC/);
    const both = await runLiif(['verify', bad, bench.photoFile, '--quick', '--json']);
    expect(both.code).toBe(4);
    expect(JSON.parse(both.stdout.toString())).toMatchObject({
      input: bench.photoFile,
      valid: true,
      decoded: false,
    });
  });

  it('compare two pictures of any kind', async () => {
    const { code, stdout } = await runProcess(['compare', bench.photo, bench.photoFile, '--json']);
    expect(code).toBe(0);
    const record = JSON.parse(stdout.toString());
    expect(record.psnr).toBeGreaterThan(24);
    expect(record.psnr).toBeLessThan(60);
    expect(record.msSsim).toBeGreaterThan(0.8);
    expect(record.msSsimScales).toBe(2);
    expect(record.b.bitsPerPixel).toBeCloseTo((8 * (await readFile(bench.photoFile)).length) / (40 * 24), 9);
    requests = 0;
    expect((await runLiif(['compare', url, bench.photo])).code).toBe(0);
    expect(requests).toBe(1); // what kind of file it is, and all that it holds
    const same = await runLiif(['compare', bench.photo, bench.photo]);
    expect(same.stdout.toString()).toMatch(/^40 x 24 pixels: identical, MS-SSIM 1\.00000/);
    const wide = join(bench.folder, 'wide.png');
    await writeFile(wide, attachProfile(await readFile(bench.photo), await builtInProfile('p3')));
    const inSrgb = await runLiif(['compare', wide, bench.photo, '--json']);
    expect(inSrgb.stderr).toContain('they are compared in sRGB');
    expect(JSON.parse(inSrgb.stdout.toString())).toMatchObject({ colorSpace: 'srgb', identical: false });
    const alike = await runLiif(['compare', wide, wide, '--json']);
    expect(alike.stderr).toBe('');
    expect(JSON.parse(alike.stdout.toString())).toMatchObject({ colorSpace: 'display-p3', identical: true });
    const other = join(bench.folder, 'other.png');
    await writePicture(other, 41, 24);
    await expectFailure(['compare', bench.photo, other], 2, /40 x 24 and 41 x 24 pixels cannot be compared/);
  });
});
