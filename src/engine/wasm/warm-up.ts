import { NATIVE_CELL } from '../../head/query.ts';
import { latentWindow } from '../../network/window.ts';
import type { Engine } from '../engine.ts';

/** Calls of each kind. V8 replaces its first, slow code of a function after some thousand loops. */
const ROUNDS = 3;

/**
 * Runs the kernels of a decoder on small tensors, so that the first real call meets optimized code. Takes
 * some tens of milliseconds. `encodes`: whether the engine can encode; only then there is a chunk to decode.
 */
export async function warmUp(engine: Engine, encodes: boolean): Promise<void> {
  const { model } = engine;
  const level = { height: 4, width: 4 };
  const chunk = { height: 4, width: 4 };
  const side = 2 * model.latentStride;
  const sites = { top: 0, left: 0, height: side, width: side };
  const rect = latentWindow(model, sites, level);
  const latents = {
    rect,
    channels: model.latentChannels,
    data: new Int16Array(rect.height * rect.width * model.latentChannels),
  };
  const index = Int32Array.from({ length: side }, (_, i) => i - 1);
  const axis = { index, fraction: new Int16Array(side).fill(8192), cell: NATIVE_CELL };
  // A pixel on each site, and a reduction of these to half the size.
  const length = side - 1;
  const native = { index: index.slice(1), fraction: new Int16Array(length), cell: NATIVE_CELL };
  const grid = { rows: native, columns: native, depth: 8 } as const;
  const half = { density: 2, span: { count: length, wanted: side, shift: 0 }, count: side / 2 - 3 };
  const whole = { top: 0, left: 0, height: length, width: length };
  const analysis = new Int16Array(chunk.height * chunk.width * model.latentChannels);
  const work = async () => {
    if (encodes) {
      const { bytes } = await engine.encodeChunk(analysis, chunk, 1);
      await engine.decodeChunk(bytes, chunk, 1);
    }
    const features = await engine.features(latents, level, sites, 1);
    await engine.pixels(features, [{ rows: axis, columns: axis, depth: 8 }, grid]);
    const known = { samples: new Uint8Array(3 * length ** 2), pitch: 3 * length };
    for (const part of [{ features }, known]) {
      const parts = [{ ...part, rect: whole }];
      await engine.reduce?.({ grid, rows: half, columns: half, gray: false, parts });
    }
    features.close();
  };
  for (let round = 0; round < ROUNDS; round++)
    await Promise.all(Array.from({ length: engine.threads }, work));
}
