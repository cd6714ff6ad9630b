import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { randomSource } from '../fixtures/tiny-model.ts';

let raster: Raster;
let engine: Engine;
let bytes: Uint8Array;

beforeAll(async () => {
  ({ raster } = await readImage(
    await readFile(new URL('../../samples/originals/fiat.jpg', import.meta.url)),
  ));
  engine = await openEngine(await releasedModel(), { engine: 'wasm', threads: 2 });
  // Nine chunks, the outer ones cut off: borders everywhere.
  bytes = await encodeImage(engine, crop(raster, 0, 0, 305, 297), { quality: 70, chunkSize: 8 });
});
afterAll(() => engine.close());

it('gives the same file on one thread, and in the reference engine for a corner of it', async () => {
  const one = await openEngine(engine.model, { engine: 'wasm', threads: 1 });
  const picture = crop(raster, 0, 0, 305, 297);
  expect(Buffer.compare(await encodeImage(one, picture, { quality: 70, chunkSize: 8 }), bytes)).toBe(0);
  await one.close();
  const corner = crop(raster, 100, 90, 33, 17);
  const reference = await openEngine(engine.model, { engine: 'reference' });
  const expected = await encodeImage(reference, corner, { quality: 70 });
  expect(Buffer.compare(await encodeImage(engine, corner, { quality: 70 }), expected)).toBe(0);
  const [a, b] = await Promise.all(
    [reference, engine].map(async (by) => (await openImage(expected, { engine: by })).render({ scale: 2 })),
  );
  expect(sameBytes(a!, b!)).toBe(true);
});

it.each([
  [1n, 4n],
  [1n, 1n],
  [3n, 2n],
  [7n, 1n],
  [64n, 1n],
])(
  'decodes at scale %s/%s the same pixels whole, in tiles and in random regions',
  async (numerator, denominator) => {
    const image = await openImage(bytes, { engine });
    const random = randomSource(Number(numerator));
    const native = (pixels: number) => ({ numerator: BigInt(pixels) * denominator, denominator: numerator });
    // At large scales the whole is a window of the picture, so that it stays small.
    const scaled = (pixels: number) => Math.floor((pixels * Number(numerator)) / Number(denominator));
    const width = Math.min(448, scaled(305));
    const height = Math.min(384, scaled(297));
    const left = Math.min(scaled(117), scaled(305) - width);
    const top = Math.min(scaled(121), scaled(297) - height);
    const window = (x: number, y: number, w: number, h: number) =>
      image.render({
        region: { x: native(left + x), y: native(top + y), width: native(w), height: native(h) },
        width: w,
        height: h,
      });
    const whole = await window(0, 0, width, height);
    const tile = 128;
    const cuts: [number, number, number, number][] = [];
    for (let y = 0; y < height; y += tile)
      for (let x = 0; x < width; x += tile)
        cuts.push([x, y, Math.min(tile, width - x), Math.min(tile, height - y)]);
    for (let i = 0; i < 10; i++) {
      const x = Math.floor(random() * (width - 1));
      const y = Math.floor(random() * (height - 1));
      cuts.push([x, y, 1 + Math.floor(random() * (width - x)), 1 + Math.floor(random() * (height - y))]);
    }
    for (const cut of cuts) {
      const part = await window(...cut);
      expect(sameBytes(part, crop(whole, ...cut)), `region ${cut}`).toBe(true);
    }
    await image.close();
  },
);

function sameBytes(a: Raster, b: Raster): boolean {
  return Buffer.from(a.data.buffer).equals(Buffer.from(b.data.buffer));
}

function crop(from: Raster, x: number, y: number, width: number, height: number): Raster {
  const { channels } = from;
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    const start = ((y + row) * from.width + x) * channels;
    data.set(from.data.subarray(start, start + width * channels), row * width * channels);
  }
  return { width, height, channels, data };
}

it('keeps a flat color however width and height are scaled', async () => {
  const color = [107, 55, 178];
  const data = Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => color[i % 3]!);
  const flat = await encodeImage(engine, { width: 128, height: 128, channels: 3, data }, { quality: 100 });
  const image = await openImage(flat, { engine });
  for (const [width, height] of [
    [128, 128],
    [65, 63],
    [63, 65],
    [128, 512],
    [512, 128],
  ] as const) {
    const shown = await image.render({ width, height });
    let apart = 0; // in the inner half: borders are another matter
    for (let y = height >> 2; y < (3 * height) >> 2; y++)
      for (let i = 3 * (y * width + (width >> 2)); i < 3 * (y * width + ((3 * width) >> 2)); i++)
        apart = Math.max(apart, Math.abs(shown.data[i]! - color[i % 3]!));
    expect(apart, `${width} x ${height}`).toBeLessThanOrEqual(2);
  }
  await image.close();
});
