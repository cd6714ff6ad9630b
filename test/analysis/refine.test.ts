import { expect, it } from 'vitest';
import { decodeImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { openReferenceEngine } from '../../src/engine/reference/reference-engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { loadModel } from '../../src/network/load.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const QUALITY = 85;

it('brings the decoded picture nearer to the original by more than its bytes would', async () => {
  const engine = await openEngine(await releasedModel(), { engine: 'wasm' });
  try {
    const { raster } = await readImage(new URL('../../samples/originals/plan.jpg', import.meta.url).pathname);
    const [plain, optimized] = [
      await encodeImage(engine, raster, { quality: QUALITY }),
      await encodeImage(engine, raster, { quality: QUALITY, optimize: true }),
    ];
    const [before, after] = [
      psnr(raster, await decodeImage(plain, { engine })),
      psnr(raster, await decodeImage(optimized, { engine })),
    ];
    expect(after).toBeGreaterThan(before + 0.5);
    expect(optimized.length).toBeLessThan(plain.length * 1.02);
  } finally {
    await engine.close();
  }
});

it('gives one file for a picture, however its groups of chunks are cut and whatever engine computes', async () => {
  const model = await loadModel(tinyModelBytes({ seed: 7 }));
  const random = randomSource(7);
  const [width, height] = [300, 200];
  const raster: Raster = {
    width,
    height,
    channels: 3,
    data: Uint8Array.from({ length: width * height * 3 }, () => random() * 256),
  };
  // Chunks of 8 latents: the picture is several groups, whose windows are cut from each other's.
  const options = { quality: 70, optimize: true, chunkSize: 8 };
  const [reference, wasm] = [openReferenceEngine(model), await openEngine(model, { engine: 'wasm' })];
  try {
    const bytes = await encodeImage(reference, raster, options);
    expect(await encodeImage(wasm, raster, options)).toEqual(bytes);
    expect(bytes).not.toEqual(await encodeImage(reference, raster, { ...options, optimize: false }));
  } finally {
    await reference.close();
    await wasm.close();
  }
});
