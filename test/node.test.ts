import { spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { copyFile, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
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
  formatImage,
  memorySource,
  msSsim,
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
  writeImage,
} from '../src/node.ts';
import { writePicture } from './cli/workbench.ts';
import { tinyModelBytes } from './fixtures/tiny-model.ts';
import { attachProfile, builtInProfile } from './image/color/icc-profile.ts';

/** Takes an engine a while. */
const HEART = fileURLToPath(new URL('../samples/encoded/heart.liif', import.meta.url));

/** A process of its own, in which `library` is what is tested here. */
function ownProcess(script: string, flags: readonly string[] = []) {
  const library = JSON.stringify(new URL('../src/node.ts', import.meta.url).href);
  const code = `const library = await import(${library});\n${script}`;
  return spawn(process.execPath, ['--import', 'tsx', ...flags, '--input-type=module', '-e', code], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

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

  it('writes metadata of a file into images on request', async () => {
    const tagged = await sharp(photo).withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>').png().toBuffer();
    const { xmp } = await sharp(tagged).metadata();
    const file = await encode(tagged, { keepMetadata: true });
    const written = async (from: Uint8Array, name: string, keepMetadata: boolean) => {
      await decodeFile(from, join(folder, name), { keepMetadata });
      return (await sharp(join(folder, name)).metadata()).xmp;
    };
    expect(await written(file, 'kept.webp', true)).toEqual(xmp);
    expect(await written(file, 'bare.webp', false)).toBeUndefined();
    expect(await written(await encode(photo), 'none.webp', true)).toBeUndefined();
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
      'Expected a format of png, jpeg, webp, avif, tiff, raw but received "gif"',
    );
    await expect(asked).rejects.toThrow(RequestError);
  });

  it.each([-1, 1.5, 257, '2'])('refuses an engine of %s threads', async (count) => {
    const threads = count as number;
    await expect(openEngine({ threads })).rejects.toThrow(
      `Expected 0 to 256 threads but received ${JSON.stringify(count)}`,
    );
  });

  it('names the option and the value that is wrong', async () => {
    const wrong = (options: object) => options as { quality: number };
    for (const [given, message] of [
      [null, 'options: expected an object but received null'],
      [{ quality: Object.create(null) }, 'Expected a quality of 1 to 100 but received object'],
      [{ depth: 12 }, 'Expected a depth of 8 or 16 but received 12'],
      [{ depth: null }, 'Expected a depth of 8 or 16 but received null'],
      [{ targetPsnr: '1' }, 'Expected a target PSNR between 0 and 100 dB but received "1"'],
      [{ targetPsnr: 5n }, 'Expected a target PSNR between 0 and 100 dB but received 5n'],
      [{ sections: 'x' }, 'sections: expected an object but received "x"'],
      [{ onProgress: 5 }, 'onProgress: expected a function but received 5'],
      [{ signal: {} }, 'signal: expected an AbortSignal but received Object'],
    ] as const)
      await expect(encode(raster, wrong(given as object))).rejects.toThrow(new RequestError(message));
    const image = await open(file);
    for (const [request, message] of [
      [null, 'request: expected an object but received null'],
      [{ region: 'x' }, 'region.x: Expected a finite number but received undefined'],
      [
        { region: { x: 0, y: '5', width: 1, height: 1 } },
        'region.y: Expected a finite number but received "5"',
      ],
      [
        { region: { x: null, y: 0, width: 1, height: 1 } },
        'region.x: Expected a finite number but received null',
      ],
      [{ scale: Symbol('x') }, 'scale: Expected a finite number but received Symbol(x)'],
    ] as const) {
      await expect(image.render(request as object)).rejects.toThrow(new RequestError(message));
      expect(() => image.renderBands(request as object)).toThrow(new RequestError(message));
    }
    await image.close();
    for (const [options, message] of [
      [
        { engine: 'nope' },
        'Expected an engine of auto, webgpu, tensorflow, wasm, reference but received "nope"',
      ],
      [{ engine: 5 }, 'but received 5'],
      [{ model: null }, 'but received null'],
      [null, 'options: expected an object but received null'],
    ] as const) {
      await expect(openEngine(options as object)).rejects.toThrow(RequestError);
      await expect(openEngine(options as object)).rejects.toThrow(message);
    }
  });

  it('refuses what is no picture, wherever one is asked for', async () => {
    const five = { ...raster, channels: 5, data: new Uint8Array(40 * 24 * 5) } as unknown as Raster;
    const none = { ...raster, width: 0, height: 0, data: new Uint8Array(0) };
    const text = { ...raster, width: '40' } as unknown as Raster;
    for (const [picture, message] of [
      [null as unknown as Raster, 'but received null'],
      [five, 'Expected 1 to 4 channels but received 5'],
      [none, 'but received 0'],
      [text, 'but received "40"'],
      [
        { ...raster, data: raster.data.subarray(1) },
        'Expected 2880 samples for 40 x 24 x 3 but received 2879',
      ],
    ] as const)
      for (const call of [
        async () => psnr(picture, raster),
        async () => msSsim(raster, picture),
        () => formatImage(picture, 'png'),
        () => encode(picture),
      ]) {
        await expect(call()).rejects.toThrow(RequestError);
        await expect(call()).rejects.toThrow(message);
      }
  });

  it('takes file: URLs in place of paths, also as text, for what it reads and what it writes', async () => {
    const urlOf = (name: string) => pathToFileURL(join(folder, name));
    await encodeFile(pathToFileURL(photo).href, urlOf('by-url.liif'));
    expect(new Uint8Array(await readFile(join(folder, 'by-url.liif')))).toEqual(bytes);
    await decodeFile(urlOf('by-url.liif').href, urlOf('by url.png'));
    const { raster: read } = await readImage(urlOf('by url.png').href);
    expect(read).toEqual(await decode(bytes));
    await writeImage(read, urlOf('again.png').href);
    expect((await readImage(join(folder, 'again.png'))).raster).toEqual(read);
    const own = urlOf('by-url.liif').href;
    await expect(decodeFile(own, join(folder, 'by-url.liif'), { format: 'raw' })).rejects.toThrow(
      'is the input',
    );
    for (const output of [undefined, 5, new URL('https://example.org/a.png')]) {
      const path = output as unknown as string;
      await expect(encodeFile(raster, path)).rejects.toThrow(RequestError);
      await expect(decodeFile(bytes, path)).rejects.toThrow(RequestError);
      await expect(writeImage(raster, path)).rejects.toThrow(RequestError);
    }
    await expect(decodeFile(bytes, undefined as unknown as string)).rejects.toThrow(
      'path: expected a path or a file: URL but received undefined',
    );
  });

  it('looks at options, and at where it is to write, before it reads anything', async () => {
    const none = join(folder, 'none');
    const quality = 500;
    await expect(encode(none, { quality })).rejects.toThrow(
      'Expected a quality of 1 to 100 but received 500',
    );
    await expect(encodeFile(none, join(folder, 'x.liif'), { quality })).rejects.toThrow('Expected a quality');
    await expect(encodeFile(none, join(folder, 'no', 'x.liif'))).rejects.toThrow(OutputError);
    await expect(decodeFile(none, join(folder, 'x.bmp'))).rejects.toThrow('the ending names no format');
    await expect(decodeFile(none, join(folder, 'x.png'), { quality: 50 })).rejects.toThrow('has no quality');
    await expect(decodeFile(none, join(folder, 'x.jpg'), { quality })).rejects.toThrow('Expected a quality');
    expect((await readdir(folder)).filter((name) => /partial|^x/.test(name))).toEqual([]);
  });

  it('reads options at the call, whatever becomes of them after it', async () => {
    const wanted = { quality: 30, sections: { text: Uint8Array.of(65) } };
    const expected = await encode(raster, wanted);
    const options = { ...wanted, sections: { ...wanted.sections } };
    for (const picture of [raster, photo]) {
      const encoded = encode(picture, options);
      Object.assign(options, { quality: 90, keepHiddenColors: true });
      Object.assign(options.sections, { text: Uint8Array.of(66) });
      expect(await encoded).toEqual(expected);
      Object.assign(options, wanted, { sections: { ...wanted.sections } });
    }
    const region = { x: 0, y: 0, width: 8, height: 4 };
    const asked = decode(file, { region });
    region.width = 20;
    expect((await asked).width).toBe(8);
  });

  it('takes null for no signal', async () => {
    const signal = null as unknown as AbortSignal;
    expect(await encode(photo, { signal })).toEqual(bytes);
    const engine = await openEngine({ engine: 'wasm', threads: 1, signal });
    expect(await encode(raster, { signal, engine })).toEqual(bytes);
    const image = await open(bytes, { signal, engine });
    expect(await image.render({}, { signal })).toEqual(await decode(bytes, { signal }));
    await image.close();
    await engine.close();
  });

  it('refuses bytes that another thread has been given', async () => {
    const moved = bytes.slice().buffer;
    structuredClone(moved, { transfer: [moved] });
    await expect(decode(moved)).rejects.toThrow(RequestError);
    await expect(readImage(moved)).rejects.toThrow('Expected bytes but received a detached ArrayBuffer');
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
    const child = ownProcess(`
      const { encode, open } = library;
      const image = await open(await encode(${JSON.stringify(photo)}), { featureCacheBytes: 2 ** 24 });
      await image.render();
      process.stdout.write(String(performance.now()));
    `);
    let worked: number | undefined;
    child.stdout.on('data', () => {
      worked = performance.now();
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect(performance.now() - worked!).toBeLessThan(20_000);
  });

  it('decodes into memory where sharp cannot be loaded, and says so where it is needed', async () => {
    const hooks = new URL('./fixtures/without-sharp.mjs', import.meta.url).href;
    const child = ownProcess(
      `
      const { width } = await library.decode(${JSON.stringify(file)});
      const errors = [
        await library.readImage(${JSON.stringify(photo)}).catch((error) => error),
        await library.formatImage(await library.decode(${JSON.stringify(file)}), 'png').catch((error) => error),
      ];
      process.stdout.write(JSON.stringify([width, ...errors.map(({ _tag, message }) => [_tag, message])]));
    `,
      ['--import', hooks],
    );
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    await new Promise((resolve) => child.on('close', resolve));
    const missing = ['EngineError', 'Not installed as it should be: no library of sharp:\n- install it'];
    expect(JSON.parse(text)).toEqual([40, missing, missing]);
  });

  it('stops while the engine opens, which goes on for whoever calls next', async () => {
    // The weights have not come before they are read, whatever else takes its time.
    const child = ownProcess(`
      const [path, fs] = [${JSON.stringify(file)}, (await import('node:fs')).default];
      const { promises } = fs;
      const { readFile } = promises;
      let go;
      const held = new Promise((resolve) => { go = resolve; });
      promises.readFile = async (name, ...rest) => {
        if (/safetensors/.test(String(name))) await held;
        return readFile(name, ...rest);
      };
      (await import('node:module')).syncBuiltinESMExports();
      const controller = new AbortController();
      const stopped = library.decode(path, { signal: controller.signal }).catch((error) => error);
      setTimeout(() => controller.abort('enough'), 50);
      const reason = await stopped;
      go();
      const { width } = await library.decode(path);
      process.stdout.write(reason + ' ' + width);
    `);
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(text).toBe('enough 40');
  });
});
