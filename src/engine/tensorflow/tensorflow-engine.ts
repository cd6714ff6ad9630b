import { EngineError, isLiifError, messageOf, RequestError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import { latentWindow, scaledExtent } from '../../network/window.ts';
import { expectCover, expectQuality } from '../arguments.ts';
import type {
  EncodedChunk,
  Engine,
  Extent,
  FeatureMap,
  Patch,
  PlainSpeed,
  Query,
  Rect,
  Samples,
} from '../engine.ts';
import { planLayers } from '../reference/layers.ts';
import {
  type OpenBackend,
  openBackend,
  type Tensor,
  type Tensor4D,
  type TensorFlowBackend,
} from './backend.ts';
import { type DeviceHead, uploadHead } from './head.ts';
import { type DeviceLayer, uploadLayer } from './layers.ts';
import { plainSpeed } from './plain-speed.ts';
import { batchPositions, planBatches, type QueryBatch } from './query-batch.ts';

export interface TensorFlowEngineOptions {
  /**
   * An exact engine, which codes chunks, analyzes pictures and computes gradients. Closed with this engine.
   */
  readonly exact: Engine;
  /** Default: the first that is installed and works. */
  readonly backend?: TensorFlowBackend;
  /** Pixels of one graph execution; default 2^20 on a GPU, else 2^18. About 1 KB of device memory each. */
  readonly batchPixels?: number;
}

/** An engine, and where it computes. */
export interface TensorFlowEngine extends Engine {
  readonly backend: TensorFlowBackend;
}

const GPU_BACKENDS: readonly TensorFlowBackend[] = ['node-gpu', 'webgpu', 'webgl'];

/**
 * Synthesis and head in TensorFlow.js, from the integers of the model, within 1 of 255 of the exact pixels.
 * `options.exact` does all that has to be exact. Rejects with EngineError if TensorFlow.js is not installed
 * or does not work; its message says what to install.
 */
export async function openTensorFlowEngine(
  model: Model,
  options: TensorFlowEngineOptions,
): Promise<TensorFlowEngine> {
  const { exact } = options;
  if (!exact.exact || exact.model.hash !== model.hash)
    throw new RequestError('Expected an exact engine of the same model to code chunks');
  const opened = await openBackend(options.backend);
  const batchPixels = options.batchPixels ?? (GPU_BACKENDS.includes(opened.backend) ? 2 ** 20 : 2 ** 18);
  return new DeviceEngine(model, exact, opened, batchPixels);
}

class DeviceEngine implements TensorFlowEngine {
  readonly name = 'tensorflow';
  readonly exact = false;
  readonly model: Model;
  readonly backend: TensorFlowBackend;
  readonly device: string;
  readonly #exact: Engine;
  readonly #opened: OpenBackend;
  readonly #batchPixels: number;
  readonly #synthesis: readonly DeviceLayer[];
  readonly #head: DeviceHead;
  readonly #features = new Set<DeviceFeatures>();
  #closed = false;

  constructor(model: Model, exact: Engine, opened: OpenBackend, batchPixels: number) {
    this.model = model;
    this.backend = opened.backend;
    this.device = `TensorFlow.js ${opened.tf.version_core}, ${opened.backend}`;
    this.#exact = exact;
    this.#opened = opened;
    this.#batchPixels = batchPixels;
    const { tf } = opened;
    this.#onBackend();
    this.#synthesis = model.synthesis.map((layer) => uploadLayer(tf, layer));
    this.#head = uploadHead(tf, model.head);
  }

  /** Threads of the exact engine: the device runs one graph after the other. */
  get threads(): number {
    return this.#exact.threads;
  }

  async analyze(...call: Parameters<Engine['analyze']>): Promise<Int16Array> {
    this.#expectOpen();
    return this.#exact.analyze(...call);
  }

  async encodeChunk(...call: Parameters<Engine['encodeChunk']>): Promise<EncodedChunk> {
    this.#expectOpen();
    return this.#exact.encodeChunk(...call);
  }

  async gradient(...call: Parameters<Engine['gradient']>): Promise<Int16Array> {
    this.#expectOpen();
    return this.#exact.gradient(...call);
  }

  async backpropagate(...call: Parameters<Engine['backpropagate']>): Promise<Int16Array> {
    this.#expectOpen();
    return this.#exact.backpropagate(...call);
  }

  async decodeChunk(...call: Parameters<Engine['decodeChunk']>): Promise<Int16Array> {
    this.#expectOpen();
    return this.#exact.decodeChunk(...call);
  }

  async features(
    latents: Patch,
    level: Extent,
    sites: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<FeatureMap> {
    this.#enter(signal);
    const { model } = this;
    expectQuality(model, quality);
    expectCover(latents, latentWindow(model, sites, level), model.latentChannels, 'latents');
    const tensor = await this.#failing(signal, () =>
      this.#synthesize(latents, level, sites, quality, signal),
    );
    const whole = scaledExtent(level, model.latentStride);
    const features = new DeviceFeatures(tensor, sites, whole, (closed) => this.#features.delete(closed));
    this.#features.add(features);
    return features;
  }

  async #synthesize(
    latents: Patch,
    level: Extent,
    sites: Rect,
    quality: number,
    signal: AbortSignal | undefined,
  ): Promise<Tensor4D> {
    const { tf } = this.#opened;
    this.#onBackend();
    const { height, width } = latents.rect;
    let rect = latents.rect;
    let tensor = tf.tensor(Float32Array.from(latents.data), [1, height, width, latents.channels]) as Tensor4D;
    try {
      for (const [i, { extent, output }] of planLayers(this.model.synthesis, level, sites).entries()) {
        await breathe();
        this.#enter(signal);
        this.#onBackend();
        const input = tensor;
        tensor = tf.tidy(() => this.#synthesis[i]!.run({ rect, tensor: input }, extent, output, quality));
        if (tensor !== input) input.dispose();
        rect = output;
      }
      return tensor;
    } catch (error) {
      tensor.dispose();
      throw error;
    }
  }

  async pixels(features: FeatureMap, queries: readonly Query[], signal?: AbortSignal): Promise<Samples[]> {
    this.#enter(signal);
    const { rect, level } = features;
    const rasters = queries.map(({ rows, columns, depth }) => {
      const length = rows.index.length * columns.index.length * 3;
      return depth === 8 ? new Uint8Array(length) : new Uint16Array(length);
    });
    const batches = planBatches(queries, this.#batchPixels);
    await this.#failing(signal, async () => {
      const sites = await this.#sitesOf(features);
      try {
        for (const batch of batches) {
          await breathe();
          this.#enter(signal);
          const positions = batchPositions(batch, queries, rect, level);
          this.#onBackend();
          const result = this.#head.render(sites, batch, positions);
          try {
            unpack(await result.data(), batch, rasters);
          } finally {
            result.dispose();
          }
        }
        signal?.throwIfAborted();
      } finally {
        sites.dispose();
      }
    });
    return rasters;
  }

  /**
   * P as (sites,K), for the caller to dispose of: a view of what is on the device already, unless another
   * engine made it.
   */
  async #sitesOf(features: FeatureMap): Promise<Tensor> {
    const { tf } = this.#opened;
    const shape: [number, number] = [features.rect.height * features.rect.width, this.model.head.hidden];
    const here = features instanceof DeviceFeatures && this.#features.has(features);
    const data = here ? undefined : Float32Array.from(await features.read());
    this.#onBackend();
    return data ? tf.tensor(data, shape) : tf.reshape((features as DeviceFeatures).tensor(), shape);
  }

  async plainSpeed(signal?: AbortSignal): Promise<PlainSpeed> {
    this.#enter(signal);
    this.#onBackend();
    return this.#failing(signal, () =>
      plainSpeed(this.#opened.tf, GPU_BACKENDS.includes(this.backend), signal),
    );
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const features of [...this.#features]) features.close();
    for (const layer of this.#synthesis) layer.dispose();
    this.#head.dispose();
    await this.#exact.close();
  }

  /**
   * Makes this engine's backend current: TensorFlow.js has one current backend, and other code in this
   * process may have chosen another.
   */
  #onBackend(): void {
    const { tf, registeredName } = this.#opened;
    // Not awaited: a backend that has been started before is current at once.
    if (tf.getBackend() !== registeredName) void tf.setBackend(registeredName);
  }

  #enter(signal: AbortSignal | undefined): void {
    this.#expectOpen();
    signal?.throwIfAborted();
  }

  #expectOpen(): void {
    if (this.#closed) throw new EngineError('the engine is closed');
  }

  /** Runs work, and makes EngineErrors of what TensorFlow.js throws: another engine may serve. */
  async #failing<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (isLiifError(cause) || (signal?.aborted && cause === signal.reason)) throw cause;
      throw new EngineError(`TensorFlow.js (${this.backend}): ${messageOf(cause)}`, { cause });
    }
  }
}

/** P on the device: (1, rows, columns, hidden) of float32 that hold integers. */
class DeviceFeatures implements FeatureMap {
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;
  readonly #onClose: (features: DeviceFeatures) => void;
  #tensor: Tensor4D | undefined;

  constructor(tensor: Tensor4D, rect: Rect, level: Extent, onClose: (features: DeviceFeatures) => void) {
    this.#tensor = tensor;
    this.rect = rect;
    this.level = level;
    this.byteLength = tensor.size * 4;
    this.#onClose = onClose;
  }

  tensor(): Tensor4D {
    if (this.#tensor === undefined) throw new EngineError('the feature map is closed');
    return this.#tensor;
  }

  async read(): Promise<Int16Array> {
    return Int16Array.from(await this.tensor().data());
  }

  close(): void {
    this.#tensor?.dispose();
    this.#tensor = undefined;
    this.#onClose(this);
  }
}

/** Samples of a batch into the rasters of their queries; `values` are as `DeviceHead.render` makes them. */
function unpack(values: ArrayLike<number>, batch: QueryBatch, rasters: readonly Samples[]): void {
  const { pieces, height, width, depth } = batch;
  const pixels = height * width;
  for (const [b, { query, firstRow }] of pieces.entries()) {
    const raster = rasters[query]!;
    let at = firstRow * width * 3;
    if (depth === 8) {
      for (let i = b * pixels; i < (b + 1) * pixels; i++) {
        const packed = values[i]!;
        raster[at++] = packed & 255;
        raster[at++] = (packed >> 8) & 255;
        raster[at++] = packed >> 16;
      }
    } else {
      for (let i = b * pixels * 3; i < (b + 1) * pixels * 3; i++) raster[at++] = values[i]!;
    }
  }
}

/** Lets other work run. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
