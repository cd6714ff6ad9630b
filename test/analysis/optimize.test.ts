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

let engine: Engine;
let plan: Raster;
let portrait: Raster;
beforeAll(async () => {
  engine = await openEngine(await releasedModel(), { engine: 'wasm' });
  [plan, portrait] = (await Promise.all(
    ['plan', 'portrait'].map(async (name) => {
      const url = new URL(`../../samples/originals/${name}.jpg`, import.meta.url);
      return (await readImage(url)).raster;
    }),
  )) as [Raster, Raster];
});
afterAll(() => engine.close());

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
  [20, 0.942],
  [60, 0.953],
  [90, 0.937],
])(
  'makes bits and squared error together less, and more so in more steps, at quality %i',
  async (quality, share) => {
    const [plain, optimized, longer] = [
      await cost(plan, quality, false),
      await cost(plan, quality, true),
      await cost(plan, quality, 10),
    ];
    expect(optimized).toBeLessThan(share * plain);
    expect(longer).toBeLessThan(0.99 * optimized);
  },
);

it.each([
  [20, 0.991, 0.971],
  [60, 0.987, 0.956],
  [90, 0.981, 0.95],
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
  const [width, height] = [1060, 40];
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
    expect(bytes).not.toEqual(await encodeImage(reference, raster, { ...options, optimize: false }));
    expect(bytes).toEqual(await encodeImage(reference, raster, options));
  } finally {
    await reference.close();
    await wasm.close();
  }
});
