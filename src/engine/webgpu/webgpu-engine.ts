import { EngineError, RequestError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import { latentWindow, scaledExtent } from '../../network/window.ts';
import { expectCover, expectQuality, refuseEncoding } from '../arguments.ts';
import type { EncodedChunk, Engine, Extent, FeatureMap, Patch, Query, Rect, Samples } from '../engine.ts';
import type { analysisStart } from './analysis-start.ts';
import { BufferPool } from './buffer-pool.ts';
import type { DeviceChunks } from './device-chunks.ts';
import { DeviceWindows } from './device-windows.ts';
import { batchQueries, unpackSamples } from './head-request.ts';
import { HeadRunner } from './head-runner.ts';
import { type KernelOptions, type Kernels, openKernels } from './kernels.ts';
import { LayerRunner } from './layer-runner.ts';
import { createTensor, packHead, uploadLayers } from './pack.ts';
import type { plainSpeed } from './plain-speed.ts';
import { type Tensor, tensorBytes } from './plan.ts';
import { ReadbackRing, readTensor } from './readback.ts';
import { Submitter } from './submission.ts';

/** Codes chunks if the device does not, and computes gradients. */
export type ChunkCoder = Pick<
  Engine,
  'threads' | 'encodeChunk' | 'decodeChunk' | 'gradient' | 'backpropagate'
>;

export interface WebGpuOptions {
  /** Not closed with this engine. */
  readonly cpu: ChunkCoder;
  /** `analysisStart` of analysis-start.ts. Absent in pages, which do not encode and need not fetch it. */
  readonly analysisStart?: typeof analysisStart;
  /**
   * Codes chunks on the device, and their symbols on the calling thread, which takes a fifth of the time that
   * a wasm thread needs for a whole chunk. Absent in pages, which have wasm workers for chunks and are to
   * stay small.
   */
  readonly deviceChunks?: typeof DeviceChunks;
  /**
   * Where chunks are coded, if there is `deviceChunks`. Default: on the device, unless `cpu` has five threads
   * or more or the device is simulated.
   */
  readonly chunksOn?: 'device' | 'cpu';
  /** Bound of the memory on the device, in bytes; default 8 GiB. */
  readonly maxBytes?: number;
  /**
   * Bound of scratch memory of windows that are made together, default 256 MiB. A window that needs more is
   * made in bands of rows.
   */
  readonly maxScratchBytes?: number;
  /** Bound of memory that is kept for the next call; default 512 MiB. */
  readonly maxFreeBytes?: number;
  /** Measures the device for benchmarks. Absent in pages. */
  readonly plainSpeed?: typeof plainSpeed;
}

/** The engine, with counters. */
export interface WebGpuEngine extends Engine {
  readonly device: string;
  /** Whether chunks are coded on the device. */
  readonly codesChunks: boolean;
  /** Memory on the device, in bytes: weights, feature maps, scratch, and what is kept for reuse. */
  readonly deviceBytes: number;
  /** Of it, kept for reuse. */
  readonly freeBytes: number;
  /** For tests: destroying it is how a device is lost. */
  readonly gpuDevice: GPUDevice;
}

const CALLS_AT_ONCE = 4;
/** With so many threads, wasm decodes chunks faster than one thread reads their symbols. */
const BUSY_THREADS = 5;
const SCRATCH_BYTES = 256 * 2 ** 20;
/** Most bytes of samples of one dispatch. */
const BATCH_BYTES = 32 * 2 ** 20;

/** What `openWebGpuEngine` takes: `cpu` may still be on its way. */
export interface WebGpuOpening extends Omit<WebGpuOptions, 'cpu'>, KernelOptions {
  /** It stays the caller's. */
  readonly cpu: ChunkCoder | Promise<ChunkCoder>;
}

/**
 * The engine on WebGPU: analysis, synthesis and head in int32 arithmetic, so its bytes are those of the
 * reference. It opens the device while model and `cpu` are on their way. Rejects as these do, and with
 * EngineError if no adapter serves. Calls reject with EngineError once the device is lost, or if it is out of
 * memory; fallback.ts then has another engine stand in.
 */
export async function openWebGpuEngine(
  model: Model | Promise<Model>,
  options: WebGpuOpening,
): Promise<WebGpuEngine> {
  const kernels = await openKernels(options);
  try {
    const engine = webGpuEngine(await model, kernels, { ...options, cpu: await options.cpu });
    const close = engine.close.bind(engine);
    engine.close = async () => {
      await close();
      kernels.device.destroy();
    };
    return engine;
  } catch (error) {
    kernels.device.destroy();
    throw error;
  }
}

/** An engine on a device that others may use too. Closing it leaves the device open. */
export function webGpuEngine(model: Model, kernels: Kernels, options: WebGpuOptions): WebGpuEngine {
  return new DeviceEngine(model, options, kernels);
}

class DeviceEngine implements WebGpuEngine {
  readonly name = 'webgpu';
  readonly exact = true;
  readonly model: Model;
  readonly threads: number;
  readonly device: string;
  readonly gpuDevice: GPUDevice;
  readonly codesChunks: boolean;
  readonly plainSpeed?: NonNullable<Engine['plainSpeed']>;
  readonly #cpu: ChunkCoder;
  readonly #analysisStart: typeof analysisStart | undefined;
  readonly #open: Kernels;
  readonly #pool: BufferPool;
  readonly #ring: ReadbackRing;
  readonly #submitter: Submitter;
  readonly #windows: DeviceWindows;
  readonly #head: HeadRunner;
  /** Undefined if `cpu` codes chunks. */
  readonly #chunks: DeviceChunks | undefined;
  readonly #weights: GPUBuffer[] = [];
  #closed = false;

  constructor(model: Model, options: WebGpuOptions, open: Kernels) {
    this.model = model;
    this.threads = Math.max(CALLS_AT_ONCE, options.cpu.threads);
    this.device = open.description;
    this.gpuDevice = open.device;
    this.#cpu = options.cpu;
    this.#analysisStart = options.analysisStart;
    this.#open = open;
    const { plainSpeed } = options;
    if (plainSpeed)
      this.plainSpeed = async (signal) => {
        this.#enter(undefined, signal);
        return plainSpeed(open, signal);
      };
    this.#pool = new BufferPool(open.device, {
      maxBytes: options.maxBytes ?? 8 * 2 ** 30,
      maxFreeBytes: options.maxFreeBytes ?? 512 * 2 ** 20,
    });
    this.#ring = new ReadbackRing(open);
    this.#submitter = new Submitter(open, this.#pool);
    const { deviceChunks, chunksOn } = options;
    const layers = [...model.analysis, ...model.synthesis];
    const here = chunksOn ? chunksOn === 'device' : !open.software && options.cpu.threads < BUSY_THREADS;
    this.codesChunks = deviceChunks !== undefined && here;
    if (deviceChunks && here) layers.push(...deviceChunks.layersOf(model));
    const network = uploadLayers(layers, (data) => this.#upload(data), open.convKernel);
    const runner = new LayerRunner(open.device, open.pipelines, network);
    const limits = { binding: open.maxBindingBytes, scratch: options.maxScratchBytes ?? SCRATCH_BYTES };
    this.#windows = new DeviceWindows(open, this.#pool, this.#submitter, runner, limits);
    if (deviceChunks && here)
      this.#chunks = new deviceChunks(model, this.#submitter, this.#ring, runner, limits);
    const headWeights = this.#upload(packHead(model.head));
    this.#head = new HeadRunner(open.device, open.pipelines.get('head')!, model.head, headWeights);
  }

  get deviceBytes(): number {
    return this.#pool.bytes + this.#ring.bytes + this.#weights.reduce((sum, { size }) => sum + size, 0);
  }

  get freeBytes(): number {
    return this.#pool.freeBytes + this.#ring.bytes;
  }

  async analyze(
    pixels: Patch,
    picture: Extent,
    latents: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array> {
    this.#enter(quality, signal);
    if (!this.#analysisStart) return refuseEncoding();
    const { layers, input, extent } = this.#analysisStart(this.model, pixels, picture, latents, quality);
    const output: Tensor = { rect: latents, channels: this.model.latentChannels };
    const check = () => this.#enter(undefined, signal);
    const made = await this.#windows.make(layers, input, extent, output, quality, check);
    try {
      return await this.#read(made, tensorBytes(output));
    } finally {
      this.#pool.free(made);
    }
  }

  async features(
    latents: Patch,
    level: Extent,
    sites: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<FeatureMap> {
    this.#enter(quality, signal);
    const { model } = this;
    expectCover(latents, latentWindow(model, sites, level), model.latentChannels, 'latents');
    const output: Tensor = { rect: sites, channels: model.head.hidden };
    const check = () => this.#enter(undefined, signal);
    const buffer = await this.#windows.make(model.synthesis, latents, level, output, quality, check);
    const whole = scaledExtent(level, model.latentStride);
    return new DeviceFeatures(this, buffer, sites, whole, tensorBytes(output));
  }

  async pixels(features: FeatureMap, queries: readonly Query[], signal?: AbortSignal): Promise<Samples[]> {
    this.#enter(undefined, signal);
    if (!(features instanceof DeviceFeatures) || features.engine !== this)
      throw new RequestError('The feature map belongs to another engine');
    const results = queries.map(({ rows, columns, depth, into }): Samples => {
      const length = rows.index.length * columns.index.length * 3;
      if (depth === 8 && into?.length === length) return into;
      return depth === 8 ? new Uint8Array(length) : new Uint16Array(length);
    });
    const batches = batchQueries(queries, Math.min(BATCH_BYTES, this.#open.maxBindingBytes));
    await Promise.all(
      batches.map((batch) =>
        this.#ring.copy(
          batch.byteLength,
          (staging) => {
            signal?.throwIfAborted();
            // Throws if it was closed meanwhile: its memory would be another's by now.
            const sites = features.buffer;
            return this.#submitter.submit((submission) =>
              this.#head.record(submission, features, sites, queries, batch, staging),
            );
          },
          (bytes) => unpackSamples(bytes, batch, queries, results),
        ),
      ),
    );
    signal?.throwIfAborted();
    return results;
  }

  async encodeChunk(
    analysis: Int16Array,
    chunk: Extent,
    quality: number,
    hyper?: Int16Array,
    signal?: AbortSignal,
  ): Promise<EncodedChunk> {
    this.#enter(quality, signal);
    if (!this.#chunks) return this.#cpu.encodeChunk(analysis, chunk, quality, hyper, signal);
    return this.#chunks.encode(analysis, chunk, quality, hyper, () => this.#enter(undefined, signal));
  }

  async decodeChunk(
    bytes: Uint8Array,
    chunk: Extent,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array> {
    this.#enter(quality, signal);
    if (!this.#chunks) return this.#cpu.decodeChunk(bytes, chunk, quality, signal);
    return this.#chunks.decode(bytes, chunk, quality, () => this.#enter(undefined, signal));
  }

  async gradient(...call: Parameters<Engine['gradient']>): Promise<Int16Array> {
    this.#enter(undefined, undefined);
    return this.#cpu.gradient(...call);
  }

  async backpropagate(...call: Parameters<Engine['backpropagate']>): Promise<Int16Array> {
    this.#enter(undefined, undefined);
    return this.#cpu.backpropagate(...call);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pool.destroy();
    this.#ring.destroy();
    for (const buffer of this.#weights) buffer.destroy();
  }

  /** For DeviceFeatures. */
  release(buffer: GPUBuffer): void {
    this.#pool.free(buffer);
  }

  /** For DeviceFeatures. */
  async readFeatures(features: DeviceFeatures): Promise<Int16Array> {
    this.#enter(undefined, undefined);
    return this.#read(features.buffer, features.byteLength);
  }

  #read(buffer: GPUBuffer, byteLength: number): Promise<Int16Array> {
    return readTensor(this.#ring, this.#submitter, buffer, byteLength);
  }

  /** Copies weights to the device, for the life of the engine. */
  #upload(data: ArrayBufferView): GPUBuffer {
    const buffer = createTensor(this.gpuDevice, data);
    this.#weights.push(buffer);
    return buffer;
  }

  #enter(quality: number | undefined, signal: AbortSignal | undefined): void {
    if (this.#closed) throw new EngineError('the engine is closed');
    signal?.throwIfAborted();
    if (quality !== undefined) expectQuality(this.model, quality);
  }
}

/** P in the device's memory. */
class DeviceFeatures implements FeatureMap {
  readonly engine: DeviceEngine;
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;
  #buffer: GPUBuffer | undefined;

  constructor(engine: DeviceEngine, buffer: GPUBuffer, rect: Rect, level: Extent, byteLength: number) {
    this.engine = engine;
    this.#buffer = buffer;
    this.rect = rect;
    this.level = level;
    this.byteLength = byteLength;
  }

  get buffer(): GPUBuffer {
    if (this.#buffer === undefined) throw new EngineError('the feature map is closed');
    return this.#buffer;
  }

  async read(): Promise<Int16Array> {
    return this.engine.readFeatures(this);
  }

  close(): void {
    if (this.#buffer) this.engine.release(this.#buffer);
    this.#buffer = undefined;
  }
}
