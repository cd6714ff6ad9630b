import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { EngineError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import type { Engine } from '../engine.ts';
import { plainSpeed } from './plain-speed.ts';
import { openWebGpuEngine, type WebGpuEngine, type WebGpuOptions } from './webgpu-engine.ts';

/** Dawn crashes when what `create` gave is collected while its devices live. */
const instances: GPU[] = [];

/**
 * WebGPU in Node, by the package `webgpu` (Dawn). `adapter`: a part of the name of the graphics adapter to take, where there are several. Rejects with
 * EngineError when the package is not installed or does not load.
 */
export async function nodeGpu(adapter?: string): Promise<GPU> {
  let create: (options: string[]) => GPU;
  try {
    ({ create } = await import('webgpu'));
  } catch (cause) {
    throw new EngineError('the package webgpu is not installed or does not load here: npm install webgpu', {
      cause,
    });
  }
  const gpu = create(adapter === undefined ? [] : [`adapter=${adapter}`]);
  instances.push(gpu);
  return gpu;
}

/**
 * The engine in Node. The variable LIIF_GPU names the adapter (a part of its name will do); a software adapter, such as SwiftShader, is taken only when
 * it is named so. LIIF_GPU_CHUNKS says where chunks are coded (`device` or `cpu`), for whoever measures it. `cpu` stays the caller's.
 */
export async function openNodeWebGpu(
  model: Model,
  cpu: Engine,
  options: Partial<WebGpuOptions> = {},
): Promise<WebGpuEngine> {
  const { LIIF_GPU: adapter, LIIF_GPU_CHUNKS: chunksOn } = process.env;
  if (chunksOn !== undefined && chunksOn !== 'device' && chunksOn !== 'cpu')
    throw new EngineError(`LIIF_GPU_CHUNKS is device or cpu, not ${chunksOn}`);
  if (adapter === undefined && !hasGraphicsDevice())
    throw new EngineError('no graphics device is to be seen here');
  return openWebGpuEngine(model, {
    gpu: await nodeGpu(adapter),
    software: adapter !== undefined,
    readAsset: (url) => readFile(url),
    cpu,
    plainSpeed,
    ...(chunksOn && { chunksOn }),
    ...options,
  });
}

/** Whether the kernel knows any graphics device. Dawn would look longer, and write what it misses to standard error. */
function hasGraphicsDevice(): boolean {
  if (process.platform !== 'linux') return true;
  return readdirSync('/dev').some((name) => /^(dri|nvidia|dxg|kgsl|mali|pvr)/.test(name));
}
