import { afterAll, describe, expect, it } from 'vitest';
import { type LiifImage, openImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { parseModel } from '../../src/network/load.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const engine = await openEngine(parseModel(tinyModelBytes({ seed: 5 })), { engine: 'wasm', threads: 2 });
afterAll(() => engine.close());

/** Noise over a ramp, so that every latent counts. */
function picture(width: number, height: number, channels: Raster['channels']): Raster {
  const data = new Uint8Array(width * height * channels);
  let seed = 1;
  for (let i = 0; i < data.length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    data[i] = ((i / channels) % width) + (seed >>> 25);
  }
  return { width, height, channels, data };
}

async function opened(raster: Raster, options = {}): Promise<LiifImage> {
  const bytes = await encodeImage(engine, raster, { quality: 70, chunkSize: 8, ...options });
  return openImage(bytes, { engine });
}

/** Pixels x .. x+width-1, y .. y+height-1 of a raster. */
function crop(raster: Raster, x: number, y: number, width: number, height: number) {
  const { channels, data } = raster;
  const out = data.slice(0, width * height * channels);
  for (let row = 0; row < height; row++) {
    const start = ((y + row) * raster.width + x) * channels;
    out.set(data.subarray(start, start + width * channels), row * width * channels);
  }
  return out;
}

it('is of a picture that is opened from bytes or a source, which is told to those who give a path', async () => {
  for (const given of ['photo.liif', null, {}])
    await expect(openImage(given as never, { engine })).rejects.toThrow(
      /^Expected a source or bytes but received/,
    );
});

describe('a region', () => {
  const size = { width: 150, height: 139 };
  for (const [numerator, denominator] of [
    [1n, 16n],
    [1n, 5n],
    [1n, 4n],
    [3n, 10n],
    [1n, 2n],
    [5n, 7n],
    [1n, 1n],
    [3n, 2n],
    [4n, 1n],
  ] as const) {
    it(`equals the same pixels of the whole at scale ${numerator}/${denominator}`, async () => {
      const image = await opened(picture(size.width, size.height, 3));
      const whole = {
        width: Math.floor((size.width * Number(numerator)) / Number(denominator)),
        height: Math.floor((size.height * Number(numerator)) / Number(denominator)),
      };
      // whole output pixels of exactly denominator / numerator picture pixels
      const native = (pixels: number) => ({
        numerator: BigInt(pixels) * denominator,
        denominator: numerator,
      });
      const all = await image.render({
        region: { x: 0, y: 0, width: native(whole.width), height: native(whole.height) },
        ...whole,
      });
      let seed = 7;
      const random = (limit: number) => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return Math.floor((seed / 2 ** 32) * limit);
      };
      for (let trial = 0; trial < 6; trial++) {
        const x = random(whole.width);
        const y = random(whole.height);
        const width = 1 + random(whole.width - x);
        const height = 1 + random(whole.height - y);
        const part = await image.render({
          region: { x: native(x), y: native(y), width: native(width), height: native(height) },
          width,
          height,
        });
        expect(part.data).toEqual(crop(all, x, y, width, height));
      }
      await image.close();
    });
  }

  it('equals the same pixels of the whole when features come in squares', async () => {
    const image = await opened(picture(size.width, size.height, 4));
    const query = image.resolve({ scale: 2 });
    const whole = await image.render({ scale: 2 });
    const rows = await image.renderRows(query, 33, 190, { size: 48, fitted: false });
    expect(rows.data).toEqual(crop(whole, 0, 33, whole.width, 157));
    await image.close();
  });

  it.each([1, 2, 3, 4] as const)(
    'of %i channels is reduced to the same by the engine and by the plain filter',
    async (channels) => {
      const image = await opened(picture(size.width, size.height, channels));
      const plain: Engine = { ...engine };
      delete (plain as { reduce?: unknown }).reduce;
      expect(engine.reduce).toBeDefined();
      const other = await openImage(image.reader.source, { engine: plain });
      for (const request of [
        { scale: 0.5 },
        { region: { x: 11, y: 3, width: 131, height: 90 }, width: 40, height: 31 },
        { region: { x: -40, y: 60, width: 160, height: 160 }, width: 80, height: 40, allowOutside: true },
        { width: 9 },
        { width: 1 },
        { scale: 0.3, depth: 16 as const },
      ]) {
        const query = image.resolve(request);
        for (const blocks of [
          { size: 48, fitted: false },
          { size: 64, fitted: true },
        ]) {
          const from = Math.floor(query.height / 3);
          const found = await image.renderRows(query, from, query.height, blocks);
          const expected = await other.renderRows(query, from, query.height, blocks);
          expect(found).toEqual(expected);
        }
      }
      await image.close();
    },
  );

  it('can reach beyond the picture only when asked', async () => {
    const image = await opened(picture(20, 20, 1));
    const region = { x: -5, y: 0, width: 20, height: 20 };
    await expect(image.render({ region })).rejects.toThrow(/outside the picture/);
    const outside = await image.render({ region, allowOutside: true });
    const whole = await image.render();
    expect(crop(outside, 5, 0, 15, 20)).toEqual(crop(whole, 0, 0, 15, 20));
    await image.close();
  });

  it('reads overviews when it is reduced, and filters beyond them', async () => {
    const image = await opened(picture(150, 139, 3), { overviews: 1 });
    const before = image.reader.bytesRead;
    const small = await image.render({ width: 30 });
    const after = image.reader.bytesRead;
    expect([small.width, small.height]).toEqual([30, 28]);
    expect(after - before).toBeLessThan(before); // the overview's chunks only
    expect((await image.render({ width: 1 })).data.length).toBe(3);
    await image.close();
  });
});
