import { afterAll, describe, expect, it } from 'vitest';
import { openImage } from '../src/decode.ts';
import { type EncodeOptions, encodeImage } from '../src/encode.ts';
import { openEngine } from '../src/engine/open-engine.ts';
import type { Raster } from '../src/image/raster.ts';
import { parseModel } from '../src/network/load.ts';
import { tinyModelBytes } from './fixtures/tiny-model.ts';

const engine = await openEngine(parseModel(tinyModelBytes({ seed: 5 })), { engine: 'wasm', threads: 2 });
afterAll(() => engine.close());

/** A ramp in grey. */
function ramp(width: number, height: number): Raster {
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) data[i] = (i % width) >> 4;
  return { width, height, channels: 1, data };
}

async function headerOf(raster: Raster, options = {}) {
  const image = await openImage(await encodeImage(engine, raster, options), { engine });
  try {
    return image.header;
  } finally {
    await image.close();
  }
}

describe('an encoded picture', () => {
  it('has chunks of 512 pixels, and of 256 beyond 8 megapixels, where regions are what is read', async () => {
    expect((await headerOf(ramp(3200, 2500))).chunkSize).toBe(32);
    expect((await headerOf(ramp(3200, 2501))).chunkSize).toBe(16);
    expect((await headerOf(ramp(3200, 2501), { chunkSize: 64 })).chunkSize).toBe(64);
  });

  it('does not depend on colors that nobody sees, unless they are to be kept', async () => {
    const hidden = (color: number): Raster => {
      const data = new Uint8Array(64 * 64 * 4);
      for (let i = 0; i < 64 * 64; i++)
        data.set(i % 64 < 40 ? [90, 60, 30, 255] : [color, color, color, 0], 4 * i);
      return { width: 64, height: 64, channels: 4, data };
    };
    expect(await encodeImage(engine, hidden(0))).toEqual(await encodeImage(engine, hidden(255)));
    const keepHiddenColors = true;
    expect(await encodeImage(engine, hidden(0), { keepHiddenColors })).not.toEqual(
      await encodeImage(engine, hidden(255), { keepHiddenColors }),
    );
  });
});

describe('overviews of a picture with alpha', () => {
  const side = 96;
  /** A disc of this radius, of one color, which may go on under transparency. */
  const disc = (radius: number, around: readonly number[]): Raster => {
    const data = new Uint8Array(side * side * 4);
    for (let i = 0; i < side * side; i++) {
      const inside = Math.hypot((i % side) - 48, Math.floor(i / side) - 48) < radius;
      data.set(inside ? [...COLOR, 255] : [...around, 0], 4 * i);
    }
    return { width: side, height: side, channels: 4, data };
  };
  const COLOR = [230, 220, 200];
  const colorsOfOverview = async (raster: Raster, keepHiddenColors: boolean) => {
    const file = await encodeImage(engine, raster, { overviews: 1, keepHiddenColors });
    const image = await openImage(file, { engine });
    const chunk = await image.reader.readChunk({ level: 1, plane: 0, row: 0, column: 0 });
    await image.close();
    return chunk;
  };

  it('have no black under transparency, which would show as a rim and costs bytes', async () => {
    const plain = await colorsOfOverview(disc(side, COLOR), false);
    expect(await colorsOfOverview(disc(36, [0, 0, 0]), false)).toEqual(plain);
    expect(await colorsOfOverview(disc(36, COLOR), true)).toEqual(plain);
  });
});

describe('encoding', () => {
  it.each([Float32Array, Int16Array, Array])('refuses samples in a %o', async (Samples) => {
    const data = new Samples(12).fill(1) as unknown as Uint8Array;
    await expect(encodeImage(engine, { width: 2, height: 2, channels: 3, data })).rejects.toThrow(
      `Expected samples in a Uint8Array or Uint16Array but received ${Samples.name}`,
    );
  });

  it.each(['hello', new Uint16Array(2), new ArrayBuffer(2)])('refuses a section of %o', async (text) => {
    const sections = { text: text as unknown as Uint8Array };
    await expect(encodeImage(engine, ramp(16, 16), { sections })).rejects.toThrow(
      'Expected the bytes of the text section in a Uint8Array',
    );
  });

  it('refuses text that is no UTF-8, and types that do not fit, naming them', async () => {
    const given = (sections: object) => encodeImage(engine, ramp(16, 16), { sections });
    await expect(given({ text: Uint8Array.of(0xe4) })).rejects.toThrow('Expected the text section in UTF-8');
    await expect(given({ 'a type of 18 bytes': new Uint8Array(1) })).rejects.toThrow(
      'Expected the type of a section in 1 to 16 bytes but received "a type of 18 bytes"',
    );
    await expect(given({ '': new Uint8Array(1) })).rejects.toThrow('but received ""');
  });

  it('writes EXIF from its byte order mark on, as JPEGs do not have it', async () => {
    const exif = Buffer.from('Exif\0\0MM\0*', 'latin1');
    const image = await openImage(await encodeImage(engine, ramp(16, 16), { sections: { exif } }), {
      engine,
    });
    expect(Buffer.from((await image.section('exif'))!).toString('latin1')).toBe('MM\0*');
    await image.close();
  });

  it.each([12, 0, '8'])('refuses a depth of %o', async (depth) => {
    const options = { depth: depth as 8 };
    await expect(encodeImage(engine, ramp(16, 16), options)).rejects.toThrow(
      `Expected a depth of 8 or 16 but received ${JSON.stringify(depth)}`,
    );
  });

  it('takes the samples of a Buffer, as sharp gives them, and leaves them as they are', async () => {
    const data = new Uint8Array(64 * 64 * 4);
    for (let i = 0; i < 64 * 64; i++) data.set(i % 64 < 40 ? [90, 60, 30, 255] : [0, 255, 0, 0], 4 * i);
    const given = Buffer.from(data);
    const picture = { width: 64, height: 64, channels: 4 } as const;
    const bytes = await encodeImage(engine, { ...picture, data: given });
    expect(bytes).toEqual(await encodeImage(engine, { ...picture, data }));
    expect(new Uint8Array(given)).toEqual(data);
  });

  it('leaves alpha out that is opaque everywhere, and only that', async () => {
    const colors = Uint8Array.from({ length: 40 * 30 * 3 }, (_, i) => (7 * i) % 251);
    const with16 = (data: Uint8Array): Uint16Array => Uint16Array.from(data, (sample) => sample * 257);
    const opaque = new Uint8Array(40 * 30 * 4).fill(255);
    for (let i = 0; i < colors.length; i++) opaque[i + Math.floor(i / 3)] = colors[i]!;
    const picture = { width: 40, height: 30 };
    for (const options of [{}, { targetPsnr: 8 }, { overviews: 1, overviewFactor: 2 }] as EncodeOptions[])
      expect(await encodeImage(engine, { ...picture, channels: 4, data: opaque }, options)).toEqual(
        await encodeImage(engine, { ...picture, channels: 3, data: colors }, options),
      );
    expect(await encodeImage(engine, { ...picture, channels: 4, data: with16(opaque) })).toEqual(
      await encodeImage(engine, { ...picture, channels: 3, data: with16(colors) }),
    );
    const gray: Raster = { ...picture, channels: 2, data: new Uint8Array(2400).fill(255) };
    expect((await headerOf(gray)).alpha).toBe(false);
    gray.data[2399] = 254;
    expect((await headerOf(gray)).alpha).toBe(true);
  });

  it('says which PSNR cannot be had, and which can, in few digits', async () => {
    const targetPsnr = 45.99465145465386;
    await expect(encodeImage(engine, ramp(64, 64), { targetPsnr })).rejects.toThrow(
      /^A PSNR of 45\.995 dB cannot be reached: quality \d+, the best that was tried, gives \d+\.\d{1,3} dB$/,
    );
  });

  it('takes the clamped samples of a canvas', async () => {
    const clamped = new Uint8ClampedArray(64).fill(200);
    const picture = { width: 4, height: 4, channels: 4 } as const;
    const data = clamped as unknown as Uint8Array;
    const bytes = await encodeImage(engine, { ...picture, data });
    expect(bytes).toEqual(await encodeImage(engine, { ...picture, data: Uint8Array.from(clamped) }));
  });
});

describe('optimizing', () => {
  it('tells how far it is, step by step, and can be stopped', async () => {
    // Four chunks, of which each counts once for every step and once for its bytes.
    const options = { optimize: 3, chunkSize: 8 };
    const heard: number[] = [];
    await encodeImage(engine, ramp(256, 256), {
      ...options,
      onProgress: ({ stage, done, total }) => {
        expect({ stage, total }).toEqual({ stage: 'encode', total: 16 });
        heard.push(done);
      },
    });
    expect(heard).toEqual([0, 4, 8, 12, 13, 14, 15, 16]);

    const stop = new AbortController();
    const stopped = encodeImage(engine, ramp(256, 256), {
      ...options,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done === 4) stop.abort(new Error('enough'));
      },
    });
    await expect(stopped).rejects.toThrow('enough');
  });

  it('meets a target from the quality that meets it plain, as a search among optimized files alone would', async () => {
    const picture = ramp(256, 256);
    const sizeOf = async (options: EncodeOptions) => (await encodeImage(engine, picture, options)).length;
    const targetSize = await sizeOf({ quality: 40 });
    const trials: number[] = [];
    const bytes = await encodeImage(engine, picture, {
      targetSize,
      optimize: 1,
      onProgress: ({ done, total }) => trials.push(done / total),
    });
    const image = await openImage(bytes, { engine });
    const { quality } = image.header;
    await image.close();
    expect(bytes.length).toBeLessThanOrEqual(targetSize);
    expect(await sizeOf({ quality: quality + 1, optimize: 1 })).toBeGreaterThan(targetSize);
    expect(trials).toEqual([...trials].sort((a, b) => a - b));
    expect(trials.at(-1)).toBe(1);
  });

  it('is for structure, or for squared error where that is asked for or a PSNR is to be met', async () => {
    const picture = ramp(64, 64);
    const encoded = (options: EncodeOptions) => encodeImage(engine, picture, { ...options, optimize: 1 });
    const bytes = await encoded({ optimizeFor: 'psnr', targetPsnr: 4 });
    expect(await encoded({ targetPsnr: 4 })).toEqual(bytes);
    expect(await encoded({ targetPsnr: 4, optimizeFor: 'ms-ssim' })).not.toEqual(bytes);
    const forStructure = await encoded({ optimizeFor: 'ms-ssim' });
    expect(await encoded({})).toEqual(forStructure);
    expect(await encoded({ optimizeFor: 'psnr' })).not.toEqual(forStructure);
    await expect(encoded({ optimizeFor: 'looks' as 'psnr' })).rejects.toThrow(
      'Expected to optimize for ms-ssim or psnr but received "looks"',
    );
  });

  it.each([-1, 0.5, 101, 'yes'])('refuses %s steps', async (steps) => {
    const optimize = steps as number;
    await expect(encodeImage(engine, ramp(16, 16), { optimize })).rejects.toThrow(
      `Expected a number of optimizing steps of 0 to 100 but received ${JSON.stringify(optimize)}`,
    );
  });
});
