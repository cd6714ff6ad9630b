import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { EngineError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import type { Engine } from '../engine.ts';
import { severalAsOne } from '../several.ts';
import { analysisStart } from './analysis-start.ts';
import { DeviceChunks } from './device-chunks.ts';
import { withMatrices } from './matrix/open.ts';
import { plainSpeed } from './plain-speed.ts';
import { type ChunkCoder, openWebGpuEngine, type WebGpuEngine, type WebGpuOptions } from './webgpu-engine.ts';

/** A window of 1024 x 1024 sites takes some 64 MB, and a new buffer costs more than what is computed in it. */
const FREE_BYTES = 2 * 2 ** 30;

/** Dawn shows what is an experiment, such as matrices of subgroups, only to those who ask for it. */
const EXPERIMENTS = 'enable-dawn-features=allow_unsafe_apis';

/** Dawn crashes when what `create` gave is collected while its devices live. */
const instances: GPU[] = [];

/**
 * WebGPU in Node, by the package `webgpu` (Dawn). `adapter`: a part of the name of the graphics adapter to take, where there are several.
 * `experiments`: Dawn's may be used. Rejects with EngineError when the package is not installed or does not load.
 */
export function nodeGpu(adapter?: string, experiments = false): Promise<GPU> {
  return createGpu([
    ...(adapter === undefined ? [] : [`adapter=${adapter}`]),
    ...(experiments ? [EXPERIMENTS] : []),
  ]);
}

/** The same with Dawn's own options. */
export async function createGpu(options: string[]): Promise<GPU> {
  let create: (options: string[]) => GPU;
  try {
    ({ create } = await import('webgpu'));
  } catch (cause) {
    throw new EngineError('the package webgpu is not installed or does not load here: npm install webgpu', {
      cause,
    });
  }
  const gpu = create(options);
  instances.push(gpu);
  return gpu;
}

/**
 * Names of the graphics adapters, each once: Dawn takes the first of a name, so of several cards of one model a process can have one. It tells them
 * only in the error for a name that there is not; the first of its ways to a card (Vulkan, Metal, Direct3D) counts. None where it says nothing.
 */
export async function adapterNames(): Promise<string[]> {
  const nobody = await nodeGpu('no adapter has this name');
  const text = await nobody.requestAdapter().then(
    () => '',
    (error: Error) => error.message,
  );
  const found = [...text.matchAll(/backend: '(.*?)', name: '(.*?)'/g)];
  return [...new Set(found.filter(([, way]) => way === found[0]![1]).map(([, , name]) => name!))];
}

/**
 * The engine in Node, on all graphics cards that it can tell apart. The variable LIIF_GPU names adapters instead, by a part of their names, with commas
 * between them; a software adapter, such as SwiftShader, is taken only when it is named so. LIIF_GPU_CHUNKS says where chunks are coded (`device` or
 * `cpu`), LIIF_GPU_MATRICES whether convolutions are made by matrices (`on` or `off`; else the faster way), for whoever measures it. Where not all cards
 * code chunks, `codesChunks` is false. `cpu` stays the caller's. Rejects with EngineError where there is no card,
 * or one that was named does not serve.
 */
export async function openNodeWebGpu(
  model: Model,
  cpu: ChunkCoder,
  options: Partial<WebGpuOptions> = {},
): Promise<Engine & Pick<WebGpuEngine, 'codesChunks'>> {
  const { LIIF_GPU: named } = process.env;
  const chunksOn = variable('LIIF_GPU_CHUNKS', ['device', 'cpu']);
  const matrices = variable('LIIF_GPU_MATRICES', ['on', 'off']);
  if (named === undefined && !hasGraphicsDevice())
    throw new EngineError('no graphics device is to be seen here');
  const open = async (adapter: string | undefined) => {
    const plain = {
      gpu: await nodeGpu(adapter, matrices !== 'off'),
      software: named !== undefined,
      readAsset: (url: URL) => readFile(url),
      cpu,
      plainSpeed,
      analysisStart,
      deviceChunks: DeviceChunks,
      ...(chunksOn && { chunksOn }),
      maxFreeBytes: FREE_BYTES,
      ...options,
    };
    return openWebGpuEngine(model, matrices === 'off' ? plain : withMatrices(plain, matrices === 'on'));
  };
  const adapters = named?.split(',') ?? (await adapterNames());
  if (adapters.length < 2) return open(adapters[0]);
  const opened = await Promise.allSettled(adapters.map(open));
  const engines = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failure = opened.find((result) => result.status === 'rejected');
  if (failure && (named !== undefined || engines.length === 0)) {
    await Promise.all(engines.map((engine) => engine.close()));
    throw failure.reason;
  }
  return Object.assign(severalAsOne(engines), {
    codesChunks: engines.every(({ codesChunks }) => codesChunks),
  });
}

/** Whether the kernel knows any graphics device. Dawn would look longer, and write what it misses to standard error. */
function hasGraphicsDevice(): boolean {
  if (process.platform !== 'linux') return true;
  return readdirSync('/dev').some((name) => /^(dri|nvidia|dxg|kgsl|mali|pvr)/.test(name));
}

function variable<T extends string>(name: string, values: readonly T[]): T | undefined {
  const value = process.env[name];
  if (value === undefined || values.includes(value as T)) return value as T | undefined;
  throw new EngineError(`${name} is ${values.join(' or ')}, not ${value}`);
}
