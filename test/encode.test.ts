import { afterAll, describe, expect, it } from 'vitest';
import { openImage } from '../src/decode.ts';
import { encodeImage } from '../src/encode.ts';
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
});
