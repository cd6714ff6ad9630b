import { READ_AHEAD_BYTES } from '../../entropy/rans.ts';
import { EngineError, messageOf, RequestError } from '../../errors.ts';
import { maxChunkBytes, symbolCount } from '../../network/chunk-size.ts';
import type { Model } from '../../network/model.ts';
import { latentWindow, scaledExtent } from '../../network/window.ts';
import { expectCover, expectQuality, refuseEncoding, withInnerMaps } from '../arguments.ts';
import type { Engine, Extent, FeatureMap } from '../engine.ts';
import { type ChunkNeeds, chunkNeeds, networkCount } from './chunk-plan.ts';
import { teamWords } from './chunk-team.ts';
import { headJob } from './head-job.ts';
import { WasmHeap } from './heap.ts';
import { HeapFeatures } from './heap-features.ts';
import type { Thread, WasmHost } from './host.ts';
import type { Job } from './job.ts';
import { layersJob } from './layers-job.ts';
import { packNetworks } from './pack.ts';
import { SCRATCH_BYTES } from './pack-winograd.ts';
import { reduceJob } from './reduce-job.ts';
import { type DecodeMessage, type EncodeMessage, errorOf } from './thread.ts';
import { ThreadPool } from './thread-pool.ts';
import { warmUp } from './warm-up.ts';

export interface WasmEngineOptions {
  readonly host: WasmHost;
  /** Threads to start; 0: none, the calling thread computes. Default: the host's. */
  readonly threads?: number;
  /** Bound of the engine's memory: weights, feature maps that are not closed, and what runs. Default and limit: 4 GiB. */
  readonly maxMemoryBytes?: number;
  readonly signal?: AbortSignal;
}

// Twice what a server keeps of features at most, so that its cache is full before the memory is.
const MAX_MEMORY_BYTES = 2 ** 32;

/** Latents that a thread has at least of a chunk that several share: with fewer they wait for each other more than they compute. */
const ROWS_PER_THREAD = 8;

/** Memory for a chunk's bytes. */
const STREAM_UNIT = 65_536;

/**
 * Kernels in WebAssembly SIMD, on threads over one shared memory. Exact. Calls that overlap share the threads; one that is alone gets all of
 * them. Rejects with EngineError where it cannot run.
 */
export async function openWasmEngine(model: Model, options: WasmEngineOptions): Promise<Engine> {
  const { host, signal, maxMemoryBytes = MAX_MEMORY_BYTES } = options;
  const count = options.threads ?? host.defaultThreads;
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
  const threads: Thread[] = [];
  try {
    if (!shared) threads.push(host.startLocalThread());
    while (threads.length < count) threads.push(host.startThread());
    const withoutWeights: Model = {
      ...model,
      analysis: [],
      hyperAnalysis: [],
      hyperSynthesis: [],
      synthesis: [],
      prior: model.prior.map(({ mean, deviation }) => {
        const empty = { weight: new Int16Array(0), bias: new Int32Array(0) };
        return { trunk: [], mean: { ...mean, ...empty }, deviation: { ...deviation, ...empty } };
      }),
    };
    const message = { kind: 'start', modules, memory: heap.memory, networks, model: withoutWeights } as const;
    await Promise.all(
      threads.map((thread) => {
        const scratch = heap.allocate(SCRATCH_BYTES);
        return started(thread, () => thread.post({ ...message, scratch }));
      }),
    );
    signal?.throwIfAborted();
  } catch (error) {
    await Promise.all(threads.map((thread) => thread.terminate()));
    throw error;
  }
  const pool = new ThreadPool(threads);
  const needsOfChunks = new Map<string, ChunkNeeds>();

  function enter(quality: number, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    expectQuality(model, quality);
  }

  function mine(features: FeatureMap): HeapFeatures {
    if (features instanceof HeapFeatures && features.belongsTo(heap)) return features;
    throw new RequestError('Expected a feature map of this engine');
  }

  function needsOf(chunk: Extent): ChunkNeeds {
    const key = `${chunk.height}x${chunk.width}`;
    let needs = needsOfChunks.get(key);
    if (needs === undefined) {
      needs = chunkNeeds(networks, model, chunk);
      needsOfChunks.set(key, needs);
    }
    return needs;
  }

  function streamUnits(length: number, chunk: Extent): number {
    const most = maxChunkBytes(symbolCount(model, chunk));
    return Math.ceil((Math.min(most, length) + READ_AHEAD_BYTES) / STREAM_UNIT);
  }

  /** A chunk, which threads that have nothing else to do help to code. */
  function chunkJob<T>(
    chunk: Extent,
    quality: number,
    work: Pick<DecodeMessage, 'kind' | 'bytes'> | Pick<EncodeMessage, 'kind' | 'analysis'>,
  ): Job<T> {
    return {
      maxThreads: 1,
      begin() {
        const { scratchBytes, operations } = needsOf(chunk);
        const words = teamWords(networkCount(networks), operations);
        const decodes = work.kind === 'decode';
        // In whole units, so that chunks lie where others have lain. One that is longer than it may be is refused before it is copied there.
        const streamBytes = decodes ? streamUnits(work.bytes.length, chunk) * STREAM_UNIT : 0;
        const [scratch, controlAddress] = heap.allocateAll(scratchBytes + streamBytes, words * 4) as [
          number,
          number,
        ];
        const place = { chunk, quality, scratch, operations, control: controlAddress };
        return {
          message: decodes ? { ...work, ...place, words: scratch + scratchBytes } : { ...work, ...place },
          transfer: decodes ? [work.bytes.buffer as ArrayBuffer] : [],
          help: { kind: 'help', encodes: !decodes, ...place },
          maxHelpers: Math.ceil(chunk.height / ROWS_PER_THREAD) - 1,
          ...heap.control(controlAddress, words),
          finish: (result) => result as T,
          release() {
            heap.free(scratch);
            heap.free(controlAddress);
          },
        };
      },
    };
  }

  const parts = { model, heap, networks, pool, threads: threads.length, enter, chunkJob };
  const engine: Engine = {
    ...(host.encoding?.(parts) ?? {
      analyze: refuseEncoding,
      encodeChunk: refuseEncoding,
      gradient: refuseEncoding,
    }),
    name: 'wasm',
    exact: true,
    model,
    threads: threads.length,
    get broken() {
      return pool.failed;
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
      const job = layersJob(
        heap,
        threads.length,
        networks.synthesis,
        latents,
        level,
        sites,
        model.head.hidden,
        quality,
        (output) => new HeapFeatures(heap, output, sites, whole),
      );
      return pool.run(job, signal);
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
