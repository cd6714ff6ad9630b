import { EngineError, messageOf, RequestError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import { latentWindow, scaledExtent } from '../../network/window.ts';
import { expectCover, expectQuality, refuseEncoding, withInnerMaps } from '../arguments.ts';
import type { Engine, FeatureMap } from '../engine.ts';
import { type Region, WasmHeap } from './heap.ts';
import { HeapFeatures } from './heap-features.ts';
import { chunkJobs } from './jobs/chunk-job.ts';
import { headJob } from './jobs/head-job.ts';
import { layersJob } from './jobs/layers-job.ts';
import { reduceJob } from './jobs/reduce-job.ts';
import { packNetworks } from './pack/pack.ts';
import { SCRATCH_BYTES } from './pack/pack-winograd.ts';
import type { Thread, WasmHost } from './threads/host.ts';
import { errorOf, type StartMessage } from './threads/thread.ts';
import { ThreadPool } from './threads/thread-pool.ts';
import { warmUp } from './warm-up.ts';

export interface WasmEngineOptions {
  readonly host: WasmHost;
  /** Threads to start; 0: none, the calling thread computes. Default: the host's. */
  readonly threads?: number;
  /**
   * Bound of the engine's memory: weights, feature maps that are not closed, and running jobs. Default and
   * limit: 4 GiB.
   */
  readonly maxMemoryBytes?: number;
  readonly signal?: AbortSignal;
}

// Twice the features that a server keeps at most, so that its cache is full before the memory is.
const MAX_MEMORY_BYTES = 2 ** 32;

/**
 * Kernels in WebAssembly SIMD, on threads over one shared memory. Exact. Calls that overlap share the
 * threads; one that is alone gets all of them. Rejects with EngineError where it cannot run.
 */
export async function openWasmEngine(model: Model, options: WasmEngineOptions): Promise<Engine> {
  const { host, signal, maxMemoryBytes = MAX_MEMORY_BYTES, threads: count = host.defaultThreads } = options;
  const shared = count > 0;
  signal?.throwIfAborted();
  let modules: readonly WebAssembly.Module[];
  let heap: WasmHeap;
  try {
    modules = await host.compile(shared);
    heap = new WasmHeap(shared, maxMemoryBytes);
  } catch (cause) {
    const message = `The wasm engine, which needs WebAssembly SIMD, cannot run here: ${messageOf(cause)}`;
    throw new EngineError(message, { cause });
  }
  const networks = packNetworks(model, heap);
  const message = {
    kind: 'start',
    modules,
    memory: heap.memory,
    networks,
    model: withoutWeights(model),
  } as const;
  const threads = await startThreads(host, count, heap, message, signal);
  const pool = new ThreadPool(threads);
  const chunkJob = chunkJobs(model, networks, heap);

  function enter(quality: number, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    expectQuality(model, quality);
  }

  function mine(features: FeatureMap): HeapFeatures {
    if (features instanceof HeapFeatures && features.belongsTo(heap)) return features;
    throw new RequestError('Expected a feature map of this engine');
  }

  const parts = { model, heap, networks, pool, threads: threads.length, chunkJob, enter };
  const engine: Engine = {
    ...(host.encoding?.(parts) ?? {
      analyze: refuseEncoding,
      encodeChunk: refuseEncoding,
      gradient: refuseEncoding,
      backpropagate: refuseEncoding,
    }),
    name: 'wasm',
    exact: true,
    model,
    threads: threads.length,
    get broken() {
      return pool.broken;
    },

    async decodeChunk(bytes, chunk, quality, signal) {
      enter(quality, signal);
      // A copy: `bytes` may be a view of a whole file. Not by `slice`: a Buffer's shares memory.
      const copy = new Uint8Array(bytes);
      return pool.run(chunkJob<Int16Array>(chunk, quality, { kind: 'decode', bytes: copy }), signal);
    },

    async features(latents, level, sites, quality, signal) {
      enter(quality, signal);
      expectCover(latents, latentWindow(model, sites, level), model.latentChannels, 'latents');
      const whole = scaledExtent(level, model.latentStride);
      const call = {
        layers: networks.synthesis,
        input: latents,
        extent: level,
        window: sites,
        channels: model.head.hidden,
        quality,
      };
      const take = (output: Region) => new HeapFeatures(heap, output, sites, whole);
      return pool.run(layersJob(heap, threads.length, call, take), signal);
    },

    async pixels(features, queries, signal) {
      signal?.throwIfAborted();
      const map = mine(features);
      if (queries.length === 0) return [];
      // The caller may close the map while the call waits for a thread.
      const letGo = map.use();
      try {
        return await pool.run(headJob(heap, model.head, map, queries, threads.length), signal);
      } finally {
        letGo();
      }
    },

    async reduce(reduction, signal) {
      signal?.throwIfAborted();
      const letGo: (() => void)[] = [];
      try {
        const parts = await withInnerMaps(reduction.parts, (features) => {
          const map = mine(features);
          letGo.push(map.use());
          return map;
        });
        return await pool.run(reduceJob(heap, model.head, { ...reduction, parts }, threads.length), signal);
      } finally {
        for (const free of letGo) free();
      }
    },

    close: () => pool.close(),
  };
  // A model for decoding alone has no hyper analysis.
  const encodes = host.encoding !== undefined && model.hyperAnalysis.length > 0;
  await warmUp(engine, encodes).catch(async (error) => {
    await engine.close();
    throw error;
  });
  return engine;
}

/** A model as threads need it: its weights lie in the shared memory. */
function withoutWeights(model: Model): Model {
  const empty = { weight: new Int16Array(0), bias: new Int32Array(0) };
  return {
    ...model,
    analysis: [],
    hyperAnalysis: [],
    hyperSynthesis: [],
    synthesis: [],
    prior: model.prior.map(({ mean, deviation }) => ({
      trunk: [],
      mean: { ...mean, ...empty },
      deviation: { ...deviation, ...empty },
    })),
  };
}

/**
 * Threads that wait for jobs: `count`, or the calling one for 0. Where one does not start, all end, and the
 * call rejects with EngineError.
 */
async function startThreads(
  host: WasmHost,
  count: number,
  heap: WasmHeap,
  message: Omit<StartMessage, 'scratch'>,
  signal: AbortSignal | undefined,
): Promise<Thread[]> {
  const threads: Thread[] = [];
  try {
    if (count === 0) threads.push(host.startLocalThread());
    while (threads.length < count) threads.push(host.startThread());
    await Promise.all(
      threads.map((thread) => {
        const scratch = heap.allocate(SCRATCH_BYTES);
        return started(thread, () => thread.post({ ...message, scratch }));
      }),
    );
    signal?.throwIfAborted();
    return threads;
  } catch (error) {
    await Promise.all(threads.map((thread) => thread.terminate()));
    throw error;
  }
}

/** Waits for the answer to a thread's first message. */
function started(thread: Thread, post: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.onFailure((cause) =>
      reject(new EngineError(`A thread of the wasm engine did not start: ${messageOf(cause)}`, { cause })),
    );
    thread.onMessage((answer) => {
      if (answer.kind === 'done') resolve();
      else reject(errorOf(answer));
    });
    post();
  });
}
