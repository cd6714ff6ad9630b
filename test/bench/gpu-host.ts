/**
 * Processor time of the webgpu engine. Dawn's null device accepts all work and does none, so what remains is
 * recording, uploads, readbacks and waiting. No graphics card can make the engine faster than this.
 *
 *     npm run bench:gpu-host -- [--seconds 2]
 */

import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Engine } from '../../src/engine/engine.ts';
import { TILE_SIDE, tileOf, warmFeatures, windowOf } from '../../src/engine/speed.ts';
import { createGpu } from '../../src/engine/webgpu/node-gpu.ts';
import { openWebGpuEngine } from '../../src/engine/webgpu/webgpu-engine.ts';
import { releasedModel } from '../../src/model/released-model.ts';

const QUALITY = 60;
/** The null device has 512 MiB. */
const MAX_BYTES = 440 * 2 ** 20;
const MAX_FREE_BYTES = 200 * 2 ** 20;

const elsewhere = () => Promise.reject(new Error('chunks are not coded here'));
const cpu = {
  threads: 1,
  encodeChunk: elsewhere,
  decodeChunk: elsewhere,
  gradient: elsewhere,
  backpropagate: elsewhere,
};

interface Cost {
  readonly wallMs: number;
  readonly processorMs: number;
}

/** Mean cost of a call, with `together` calls under way at once. */
async function costOf(call: () => Promise<void>, together: number, seconds: number): Promise<Cost> {
  for (let i = 0; i < 20; i++) await call();
  let calls = 0;
  const begin = performance.now();
  const before = process.cpuUsage();
  const lane = async () => {
    while (performance.now() < begin + 1000 * seconds) {
      await call();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: together }, lane));
  const { user, system } = process.cpuUsage(before);
  return { wallMs: (performance.now() - begin) / calls, processorMs: (user + system) / 1000 / calls };
}

async function windowCost(engine: Engine, side: number, together: number, seconds: number): Promise<Cost> {
  const { latents, level, sites } = windowOf(engine.model, side);
  const call = async () => (await engine.features(latents, level, sites, QUALITY)).close();
  return costOf(call, together, seconds);
}

async function tileCost(engine: Engine, batch: number, scale: number, seconds: number): Promise<Cost> {
  const features = await warmFeatures(engine, 512);
  const queries = Array.from({ length: batch }, (_, i) => ({
    ...tileOf(features, 1 / scale, i),
    into: new Uint8Array(TILE_SIDE * TILE_SIDE * 3),
  }));
  const cost = await costOf(async () => void (await engine.pixels(features, queries)), 1, seconds);
  features.close();
  return cost;
}

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '2' } } });
const seconds = Number(values.seconds);
const engine = await openWebGpuEngine(await releasedModel(), {
  gpu: await createGpu(['backend=null', 'adapter=Null']),
  software: true,
  readAsset: (url) => readFile(url),
  cpu,
  maxBytes: MAX_BYTES,
  maxFreeBytes: MAX_FREE_BYTES,
});
console.log(`${'a call'.padEnd(44)}  wall ms  processor ms   a second`);
const show = (what: string, { wallMs, processorMs }: Cost, perSecond: string) =>
  console.log(
    `${what.padEnd(44)} ${wallMs.toFixed(2).padStart(8)} ${processorMs.toFixed(2).padStart(13)}   ${perSecond}`,
  );
for (const side of [256, 512])
  for (const together of [1, 8]) {
    const cost = await windowCost(engine, side, together, seconds);
    const megapixels = side ** 2 / 1000 / cost.wallMs;
    show(`features of ${side} x ${side}, ${together} at once`, cost, `${megapixels.toFixed(0)} megapixels`);
  }
for (const scale of [1, 2])
  for (const batch of [1, 16, 64]) {
    const cost = await tileCost(engine, batch, scale, seconds);
    const tiles = (1000 * batch) / cost.wallMs;
    show(`${batch} tiles at scale ${scale}`, cost, `${tiles.toFixed(0)} tiles`);
  }
await engine.close();
