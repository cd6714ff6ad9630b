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

/**
 * Memory that is kept for reuse: a window of 1024 x 1024 sites takes some 64 MB, and to create its buffer
 * takes longer than to compute it.
 */
const FREE_BYTES = 2 * 2 ** 30;

/** Dawn's switch for experiments, such as matrices of subgroups. */
const EXPERIMENTS = 'enable-dawn-features=allow_unsafe_apis';

/** Kept for ever: Dawn crashes if a result of `create` is collected while its devices live. */
const instances: GPU[] = [];

/**
 * WebGPU in Node, by the package `webgpu` (Dawn). `adapter`: a part of the name of the graphics adapter to
 * take, if there are several. `experiments`: whether Dawn's may be used. Rejects with EngineError if the
 * package is not installed or does not load.
 */
export function nodeGpu(adapter?: string, experiments = false): Promise<GPU> {
  return createGpu([
    ...(adapter === undefined ? [] : [`adapter=${adapter}`]),
    ...(experiments ? [EXPERIMENTS] : []),
  ]);
}

/** The same, with Dawn's own options. */
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
 * Names of the graphics adapters, each once: Dawn takes the first adapter of a name, so of several cards of
 * one model a process can use only one. Dawn lists the names only in the error for a name that does not
 * exist. A card may be listed for several backends (Vulkan, Metal, Direct3D); the first backend counts. Empty
 * if there is no such error.
 */
export async function adapterNames(): Promise<string[]> {
  const nobody = await nodeGpu('no adapter has this name');
  const text = await nobody.requestAdapter().then(
    () => '',
    (error: Error) => error.message,
  );
  const found = [...text.matchAll(/backend: '(.*?)', name: '(.*?)'/g)];
  return [...new Set(found.filter(([, backend]) => backend === found[0]![1]).map(([, , name]) => name!))];
}

/**
 * Opens the engine in Node, on all graphics cards that Dawn can tell apart. `codesChunks` is true if all
 * cards code chunks. `cpu` is not closed with the engine. Rejects with EngineError if there is no card, or
 * one that is named does not serve. Environment variables, of which the last two are for measurements:
 *
 * - LIIF_GPU: adapters to take, parts of their names with commas between them. A software adapter, such as
 *   SwiftShader, is taken only if it is named.
 * - LIIF_GPU_CHUNKS: where chunks are coded, `device` or `cpu`.
 * - LIIF_GPU_MATRICES: whether convolutions are made by matrices, `on` or `off`. Default: the faster way.
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
    throw new EngineError('no graphics device is visible here');
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

/**
 * Whether the operating system has any graphics device. Dawn would search longer, and write to standard error
 * what it does not find.
 */
function hasGraphicsDevice(): boolean {
  if (process.platform !== 'linux') return true;
  return readdirSync('/dev').some((name) => /^(dri|nvidia|dxg|kgsl|mali|pvr)/.test(name));
}

/**
 * An environment variable that has one of these values, if it is set. Throws EngineError for another value.
 */
function variable<T extends string>(name: string, values: readonly T[]): T | undefined {
  const value = process.env[name];
  if (value === undefined || values.includes(value as T)) return value as T | undefined;
  throw new EngineError(`${name} is ${values.join(' or ')}, not ${value}`);
}
