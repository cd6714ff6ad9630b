import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeImage } from '../../src/decode.ts';
import { type EncodeOptions, encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';
import { msSsim } from '../../src/metrics/ms-ssim.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { distortionWeight } from '../../src/network/distortion-weight.ts';
import { loadModel } from '../../src/network/load.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const SIDE = 192;

let engine: Engine;
let plan: Raster;
let portrait: Raster;
beforeAll(async () => {
  engine = await openEngine(await releasedModel(), { engine: 'wasm' });
  [plan, portrait] = await Promise.all([squareOf('plan', 160, 160), squareOf('portrait', 0, 300)]);
});
afterAll(() => engine.close());

/** A part of a sample in color. */
async function squareOf(name: string, left: number, top: number): Promise<Raster> {
  const url = new URL(`../../samples/originals/${name}.jpg`, import.meta.url);
  const { width, data } = (await readImage(url)).raster;
  const square = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++) {
    const from = ((top + y) * width + left) * 3;
    square.set(data.subarray(from, from + SIDE * 3), y * SIDE * 3);
  }
  return { width: SIDE, height: SIDE, channels: 3, data: square };
}

interface Outcome {
  readonly size: number;
  readonly unlike: number;
}

/** Bits a pixel plus weighed squared error: what encoders are to make small. */
async function cost(raster: Raster, quality: number, optimize: boolean | number): Promise<number> {
  const bytes = await encodeImage(engine, raster, { quality, optimize, optimizeFor: 'psnr' });
  const error = 255 ** 2 / 10 ** (psnr(raster, await decodeImage(bytes, { engine })) / 10);
  return (8 * bytes.length) / (raster.width * raster.height) + distortionWeight(quality, 100) * error;
}

// Files are the same everywhere, so the shares can be held close to what was found.
it.each([
  [20, 0.921],
  [60, 0.922],
  [90, 0.91],
])(
  'makes bits and squared error together less, and more so in more steps, at quality %i',
  async (quality, share) => {
    const [plain, optimized, longer] = [
      await cost(plan, quality, false),
      await cost(plan, quality, true),
      await cost(plan, quality, 16),
    ];
    expect(optimized).toBeLessThan(share * plain);
    expect(longer).toBeLessThan(0.99 * optimized);
  },
);

it.each([
  [20, 0.963, 0.911],
  [60, 0.922, 0.861],
  [90, 0.942, 0.879],
])(
  'makes structure more alike than by squared error, in fewer bytes, at quality %i',
  async (quality, ofPsnr, ofPlain) => {
    const [plain, byPsnr, byStructure] = (await Promise.all(
      [{}, { optimize: true, optimizeFor: 'psnr' }, { optimize: true }].map(async (options) => {
        const bytes = await encodeImage(engine, portrait, { quality, ...(options as EncodeOptions) });
        const { value } = msSsim(portrait, await decodeImage(bytes, { engine }));
        return { size: bytes.length, unlike: 1 - value };
      }),
    )) as [Outcome, Outcome, Outcome];
    expect(byStructure.size).toBeLessThan(byPsnr.size);
    expect(byStructure.unlike).toBeLessThan(ofPsnr * byPsnr.unlike);
    expect(byStructure.unlike).toBeLessThan(ofPlain * plain.unlike);
  },
);

it('counts no pixels beyond the picture, and serves gray and alpha', async () => {
  const random = randomSource(9);
  const [width, height] = [70, 37];
  const data = Uint8Array.from(
    { length: width * height * 2 },
    (_, i) => 128 + 60 * Math.sin(i / 30) + 20 * random(),
  );
  const raster: Raster = { width, height, channels: 2, data };
  const distance = async (optimize: boolean) => {
    const bytes = await encodeImage(engine, raster, { quality: 80, optimize });
    const decoded = await decodeImage(bytes, { engine });
    return Array.from(decoded.data).reduce((sum, value, i) => sum + (value - data[i]!) ** 2, 0);
  };
  expect(await distance(true)).toBeLessThan(0.95 * (await distance(false)));
});

it('gives one file for a picture, however its groups of chunks are cut and whatever engine computes', async () => {
  const model = await loadModel(tinyModelBytes({ seed: 7 }));
  const random = randomSource(7);
  // Chunks of 8 latents, 64 latents a group: two groups, one of which reads what the other changes.
  const [width, height] = [1060, 16];
  const raster: Raster = {
    width,
    height,
    channels: 3,
    data: Uint8Array.from({ length: width * height * 3 }, () => random() * 256),
  };
  const options = { quality: 70, optimize: 2, chunkSize: 8 };
  const [reference, wasm] = [openReferenceEngine(model), await openEngine(model, { engine: 'wasm' })];
  try {
    const bytes = await encodeImage(reference, raster, options);
    expect(await encodeImage(wasm, raster, options)).toEqual(bytes);
    expect(bytes).not.toEqual(await encodeImage(wasm, raster, { ...options, optimize: false }));
    expect(await encodeImage(wasm, raster, options)).toEqual(bytes);
  } finally {
    await reference.close();
    await wasm.close();
  }
});
