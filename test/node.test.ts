import { spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  decode,
  decodeFile,
  type Engine,
  EngineError,
  encode,
  encodeFile,
  memorySource,
  OutputError,
  open,
  openEngine,
  type Progress,
  psnr,
  type Raster,
  RequestError,
  readImage,
  readModel,
  SourceError,
} from '../src/node.ts';
import { writePicture } from './cli/workbench.ts';
import { tinyModelBytes } from './fixtures/tiny-model.ts';
import { attachProfile, builtInProfile } from './image/icc-profile.ts';

/** Takes an engine a while. */
const HEART = fileURLToPath(new URL('../samples/encoded/heart.liif', import.meta.url));

describe('the library in Node', () => {
  let folder: string;
  let photo: string;
  let file: string;
  let bytes: Uint8Array;
  let raster: Raster;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'liif-node-'));
    photo = join(folder, 'photo.png');
    file = join(folder, 'photo.liif');
    await writePicture(photo, 40, 24);
    raster = (await readImage(photo)).raster;
    bytes = await encode(photo);
    await encodeFile(photo, file);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('encodes a raster, a path, a URL, bytes and a Blob into the same file', async () => {
    const image = new Uint8Array(await readFile(photo));
    for (const input of [raster, pathToFileURL(photo), image, image.buffer, new Blob([image])])
      expect(await encode(input, { quality: 60 })).toEqual(bytes);
    expect(new Uint8Array(await readFile(file))).toEqual(bytes);
  });

  it('leaves a raster in a Buffer as it is, in memory and in files', async () => {
    const data = new Uint8Array(32 * 32 * 4);
    for (let i = 0; i < 32 * 32; i++) data.set(i % 32 < 20 ? [90, 60, 30, 255] : [0, 255, 0, 0], 4 * i);
    const given = Buffer.from(data);
    const picture: Raster = { width: 32, height: 32, channels: 4, data: given };
    await encode(picture);
    await encodeFile(picture, join(folder, 'buffer.liif'));
    expect(new Uint8Array(given)).toEqual(data);
  });

  it('leaves nothing at the signal of a call that is done', async () => {
    const { signal } = new AbortController();
    await encode(raster, { signal });
    await decode(bytes, { signal });
    await encodeFile(photo, join(folder, 'signal.liif'), { signal });
    await decodeFile(file, join(folder, 'signal.png'), { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('decodes from a path, a URL, bytes, a Blob and a source of one’s own to the same pixels', async () => {
    const whole = await decode(file);
    expect([whole.width, whole.height, whole.channels]).toEqual([40, 24, 3]);
    expect(psnr(raster, whole)).toBeGreaterThan(24);
    for (const input of [
      pathToFileURL(file),
      bytes,
      bytes.slice().buffer as ArrayBuffer,
      new Blob([bytes as Uint8Array<ArrayBuffer>]),
      memorySource(bytes),
    ])
      expect((await decode(input)).data).toEqual(whole.data);
  });

  it('opens a file and renders what is asked for', async () => {
    const image = await open(file, { featureCacheBytes: 2 ** 24 });
    const region = { x: 8, y: 4, width: 16, height: 8 };
    const part = await image.render({ region, scale: 3 });
    expect([part.width, part.height]).toEqual([48, 24]);
    expect((await decode(bytes, { region, scale: 3 })).data).toEqual(part.data);
    await image.close();
    await expect(image.render()).rejects.toThrow('closed');
  });

  it('ends what is under way when a picture is closed, and says why', async () => {
    const image = await open(file);
    const wide = image.render({ scale: 40 });
    const expected = expect(wide).rejects.toThrow(new EngineError('The picture has been closed'));
    await new Promise((resolve) => setImmediate(resolve));
    await image.close();
    await expected;
  });

  it('leaves other pictures and encoders alone when one is closed, which share its engine', async () => {
    const view = { width: 100 };
    const other = await open(HEART, { featureCacheBytes: 2 ** 28 });
    const expected = await other.render(view);
    for (const milliseconds of [10, 30, 50]) {
      const image = await open(HEART);
      const closed = expect(image.render(view)).rejects.toThrow('The picture has been closed');
      const beside = Promise.all([other.render(view), decode(HEART, view), encode(raster)]);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      await image.close();
      await closed;
      expect(await beside).toEqual([expected, expected, bytes]);
    }
    await other.close();
  });

  it('writes image files, of 16 bits where source and format have them', async () => {
    const deep = await encode(await sharp(photo).toColorspace('rgb16').png().toBuffer());
    expect(await decodeFile(deep, join(folder, 'deep.png'), { width: 80 })).toMatchObject({
      format: 'png',
      width: 80,
      height: 48,
      depth: 16,
    });
    expect((await sharp(join(folder, 'deep.png')).metadata()).depth).toBe('ushort');
    expect((await decodeFile(deep, join(folder, 'deep.jpg'))).depth).toBe(8);
    await expect(decodeFile(file, join(folder, 'no', 'x.png'))).rejects.toThrow(OutputError);
  });

  it('keeps colors beyond sRGB, unless it is told not to', async () => {
    const wide = join(folder, 'wide.png');
    await writeFile(wide, attachProfile(await readFile(photo), await builtInProfile('p3')));
    const made = await encode(wide);
    const image = await open(made);
    expect(image.header.colorSpace).toBe('display-p3');
    const shown = await image.render();
    for await (const band of image.renderBands()) expect(band).toEqual(shown);
    await image.close();
    expect(shown.colorSpace).toBe('display-p3');
    // The same samples: only what they mean is another.
    const plain = await decode(bytes);
    expect(shown.data).toEqual(plain.data);
    expect(plain.colorSpace).toBeUndefined();

    const written = join(folder, 'wide-again.png');
    await decodeFile(made, written);
    const { raster: read } = await readImage(written);
    expect(read).toEqual(shown);
    expect(await encode({ ...raster, colorSpace: 'display-p3' })).toEqual(made);

    const less = await encode(wide, { srgb: true });
    expect((await decode(less)).colorSpace).toBeUndefined();
    expect(less).not.toEqual(bytes);
    const gray: Raster = {
      width: 2,
      height: 1,
      channels: 1,
      data: Uint8Array.of(1, 2),
      colorSpace: 'display-p3',
    };
    expect((await decode(await encode(gray))).colorSpace).toBeUndefined();
    await expect(encode({ ...raster, colorSpace: 'rec2020' as 'srgb' })).rejects.toThrow(RequestError);
  });

  it('carries metadata along on request', async () => {
    const tagged = await sharp(photo).withIccProfile('srgb').jpeg().toBuffer();
    const sections = async (keepMetadata: boolean) => {
      const image = await open(await encode(tagged, { keepMetadata }));
      await image.close();
      return image.header.sections.map(({ type }) => type);
    };
    expect(await sections(true)).toContain('icc');
    expect(await sections(false)).toEqual([]);
  });

  it('gives the sections of a file back', async () => {
    const sections = { exif: Uint8Array.of(73, 73, 42, 0), text: new TextEncoder().encode('a note') };
    const image = await open(await encode(photo, { sections }));
    expect(image.header.sections.map(({ type }) => type)).toEqual(['exif', 'text']);
    for (const [type, bytes] of Object.entries(sections)) expect(await image.section(type)).toEqual(bytes);
    expect(await image.section('xmp')).toBeUndefined();
    await image.close();
    await expect(image.section('exif')).rejects.toThrow('closed');
  });

  it('carries metadata along where no other sections are given', async () => {
    const tagged = await sharp(photo).withIccProfile('srgb').jpeg().toBuffer();
    const options = { keepMetadata: true, sections: undefined, depth: undefined } as unknown as {
      keepMetadata: true;
    };
    expect(await encode(tagged, options)).toEqual(await encode(tagged, { keepMetadata: true }));
  });

  it('says what it was given instead of an engine or a number', async () => {
    const engine = 'wasm' as unknown as Engine;
    const expected = new RequestError('engine: expected an engine of openEngine() but received "wasm"');
    await expect(encode(photo, { engine })).rejects.toThrow(expected);
    await expect(decode(file, { engine })).rejects.toThrow(expected);
    await expect(open(file, { engine })).rejects.toThrow(expected);
    const seventy = '70' as unknown as number;
    await expect(encode(photo, { quality: seventy })).rejects.toThrow('1 to 100 but received "70"');
    await expect(decode(file, { width: seventy })).rejects.toThrow('at least 1, but received "70"');
  });

  it('tells its progress, and stops when it is told to', async () => {
    const seen: Progress[] = [];
    await encode(raster, { onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toMatchObject({ stage: 'encode', done: 1, total: 1 });
    const reason = new Error('enough');
    await expect(encode(raster, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    // Before anything is read.
    await expect(encode('none.png', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(decode(bytes, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('says what is missing', async () => {
    await expect(encode(join(folder, 'none.png'))).rejects.toThrow(SourceError);
    await expect(decode(join(folder, 'none.liif'))).rejects.toThrow(/none\.liif: no such file/);
    await expect(decode(new URL('ftp://example.org/a.liif'))).rejects.toThrow('ftp:');
    for (const image of ['https://example.org/a.png', new URL('https://example.org/a.png')])
      await expect(encode(image)).rejects.toThrow('received https:; fetch the image first');
    for (const url of [new URL('file://elsewhere/a'), new URL('file:///a%2Fb')]) {
      await expect(decode(url)).rejects.toThrow(RequestError);
      await expect(encodeFile(url, 'a.liif')).rejects.toThrow(RequestError);
      await expect(encode(url)).rejects.toThrow(RequestError);
    }
  });

  it('refuses what is no file, no image and no format, saying what it takes', async () => {
    for (const [given, called] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [5, 'Number'],
      [[], 'Array'],
    ] as const) {
      const it = given as unknown as Uint8Array;
      await expect(decode(it)).rejects.toThrow(
        `Expected a file as a path, URL, Uint8Array, ArrayBuffer, Blob or source but received ${called}`,
      );
      await expect(encode(it)).rejects.toThrow(
        `Expected an image as a path, URL, Uint8Array, ArrayBuffer or Blob but received ${called}`,
      );
    }
    await expect(openEngine({ model: null as unknown as Uint8Array })).rejects.toThrow(
      new RequestError(
        'Expected a file as a path, URL, Uint8Array, ArrayBuffer, Blob or source but received null',
      ),
    );
    const format = 'gif' as 'png';
    const asked = decodeFile(file, join(folder, 'x.png'), { format });
    await expect(asked).rejects.toThrow(
      'Expected a format of png, jpeg, webp, avif, tiff, raw but received gif',
    );
    await expect(asked).rejects.toThrow(RequestError);
  });

  it.each([-1, 1.5, 257, '2'])('refuses an engine of %s threads', async (count) => {
    const threads = count as number;
    await expect(openEngine({ threads })).rejects.toThrow(`Expected 0 to 256 threads but received ${count}`);
  });

  it('never writes over what it reads, whatever leads there', async () => {
    const [picture, link] = [join(folder, 'own.png'), join(folder, 'own.liif')];
    await copyFile(photo, picture);
    await symlink('own.png', link);
    for (const [from, to] of [
      [picture, picture],
      [picture, link],
      [pathToFileURL(picture), link],
    ] as const) {
      await expect(encodeFile(from, to)).rejects.toThrow(
        new RequestError(`${to}: is the input; name another file`),
      );
      await expect(decodeFile(from, to, { format: 'png' })).rejects.toThrow('is the input');
    }
    expect(await readFile(picture)).toEqual(await readFile(photo));
  });

  it('leaves an engine of one’s own open', async () => {
    const engine = await openEngine({ engine: 'reference' });
    expect(await encode(raster, { engine })).toEqual(bytes);
    const image = await open(bytes, { engine });
    await image.close();
    await decode(bytes, { engine });
    await engine.close();
    await expect(decode(bytes, { engine })).rejects.toThrow('closed');
  });

  it('encodes and decodes with weights of one’s own, given as a path, a URL, bytes or what was read of them', async () => {
    const weights = tinyModelBytes({ seed: 41 });
    const path = join(folder, 'tiny.safetensors');
    await writeFile(path, weights);
    const model = await readModel(path);
    const encoded: Uint8Array[] = [];
    const decoded: Raster[] = [];
    for (const given of [path, pathToFileURL(path), weights, model]) {
      const engine = await openEngine({ model: given, engine: 'wasm', threads: 0 });
      expect(engine.model.hash).toBe(model.hash);
      encoded.push(await encode(raster, { engine }));
      decoded.push(await decode(encoded[0]!, { engine }));
      await expect(decode(bytes, { engine })).rejects.toThrow(/The file needs model [0-9a-f]{64}/);
      await engine.close();
    }
    for (const other of encoded) expect(other).toEqual(encoded[0]);
    for (const other of decoded) expect(other.data).toEqual(decoded[0]!.data);
    await expect(decode(encoded[0]!)).rejects.toThrow(`The file needs model ${model.hash}`);
    await expect(openEngine({ model: photo })).rejects.toThrow(/photo\.png: model at byte 0: /);
  });

  it('lets the process end by itself, even with a picture left open', async () => {
    const script = `
      const { encode, open } = await import(${JSON.stringify(new URL('../src/node.ts', import.meta.url).href)});
      const image = await open(await encode(${JSON.stringify(photo)}), { featureCacheBytes: 2 ** 24 });
      await image.render();
      process.stdout.write(String(performance.now()));
    `;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let worked: number | undefined;
    child.stdout.on('data', () => {
      worked = performance.now();
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect(performance.now() - worked!).toBeLessThan(20_000);
  });
});
