import { EngineError, messageOf, RequestError, UnsupportedError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import { onAbort } from '../../on-abort.ts';
import type {
  Axis,
  EncodedChunk,
  Engine,
  EngineName,
  Extent,
  FeatureMap,
  Patch,
  Query,
  Rect,
  Samples,
} from '../engine.ts';
import {
  type EngineFacts,
  type FeatureFacts,
  type FromWorker,
  fromWire,
  type Result,
  type ToWorker,
} from './messages.ts';

/** Memory that threads share, one view for each query. */
export interface SharedSamples {
  readonly buffer: SharedArrayBuffer;
  readonly views: readonly Uint8Array[];
}

/** Lends shared memory and uses it again. */
export interface SampleMemory {
  /** Memory for these queries. Undefined: their samples are to be sent. */
  take(queries: readonly Query[]): SharedSamples | undefined;
  give(samples: SharedSamples): void;
}

/** Codes chunks, and computes gradients. */
type ChunkCoder = Pick<Engine, 'encodeChunk' | 'decodeChunk' | 'gradient' | 'backpropagate'>;

/** A worker that runs `serveEngine`. */
export interface EngineWorker {
  post(message: ToWorker): void;
  onMessage(callback: (message: FromWorker) => void): void;
  /** Called when the worker ends without having been told to. */
  onFailure(callback: (reason: unknown) => void): void;
  /** Ends the worker and its engine. May return a promise, which is awaited. */
  terminate(): unknown;
  /** Told whether calls are under way. If none are, the worker need not keep the process alive. */
  hold?(busy: boolean): void;
}

export interface WorkerEngineOptions {
  /** The engine that the workers run. */
  readonly name: EngineName;
  readonly startWorker: () => EngineWorker;
  readonly workers: number;
  /** Shared memory for samples, from which they are copied. Absent: workers send them. */
  readonly samples?: SampleMemory;
  /**
   * Codes chunks if the workers do not (`codesChunks`), and computes gradients. Not closed with this engine.
   */
  readonly chunks?: ChunkCoder;
  readonly signal?: AbortSignal;
}

/**
 * Engines in workers that share no memory, as one engine. A call goes to the living worker with the fewest
 * calls under way; a call for pixels goes to the worker that has the features. Workers start while the model
 * is still loading. Rejects as `loading` does, and with EngineError if a worker does not start.
 */
export async function openWorkerEngine(
  loading: Model | Promise<Model>,
  options: WorkerEngineOptions,
): Promise<Engine> {
  const connections = Array.from({ length: options.workers }, () => new Connection(options.startWorker()));
  try {
    const model = await loading;
    const facts = await Promise.all(
      connections.map((connection) => connection.call({ kind: 'start', model }, options.signal)),
    );
    return new WorkerEngine(model, options, connections, facts as EngineFacts[]);
  } catch (error) {
    await Promise.all(connections.map((connection) => connection.close()));
    throw error;
  }
}

class WorkerEngine implements Engine {
  readonly name: EngineName;
  readonly exact = true;
  readonly model: Model;
  readonly threads: number;
  readonly device?: string;
  readonly #connections: readonly Connection[];
  readonly #samples: SampleMemory | undefined;
  /** Codes chunks; undefined if the workers do. */
  readonly #chunks: ChunkCoder | undefined;
  /** Computes gradients, if anything does. */
  readonly #gradients: ChunkCoder | undefined;
  #lastMap = 0;
  #closed = false;

  constructor(
    model: Model,
    options: WorkerEngineOptions,
    connections: readonly Connection[],
    facts: readonly EngineFacts[],
  ) {
    this.name = options.name;
    this.model = model;
    // A wasm engine without threads of its own counts none, and works on one call.
    this.threads = facts.reduce((sum, { threads }) => sum + Math.max(1, threads), 0);
    const { device } = facts[0]!;
    if (device !== undefined) this.device = device;
    this.#connections = connections;
    this.#samples = options.samples;
    this.#gradients = options.chunks;
    this.#chunks = facts.every(({ codesChunks }) => codesChunks) ? undefined : options.chunks;
  }

  readonly analyze: Engine['analyze'] = async (pixels, picture, latents, quality, signal) => {
    const args = [ownPatch(pixels), picture, latents, quality];
    return (await this.#idlest.call({ kind: 'call', name: 'analyze', args }, signal)) as Int16Array;
  };

  readonly encodeChunk: Engine['encodeChunk'] = async (analysis, chunk, quality, hyper, signal) => {
    if (this.#chunks)
      return this.#openChunks(this.#chunks).encodeChunk(analysis, chunk, quality, hyper, signal);
    const args = [own(analysis), chunk, quality, hyper && own(hyper)];
    return (await this.#idlest.call({ kind: 'call', name: 'encodeChunk', args }, signal)) as EncodedChunk;
  };

  readonly decodeChunk: Engine['decodeChunk'] = async (bytes, chunk, quality, signal) => {
    if (this.#chunks) return this.#openChunks(this.#chunks).decodeChunk(bytes, chunk, quality, signal);
    const args = [own(bytes), chunk, quality];
    return (await this.#idlest.call({ kind: 'call', name: 'decodeChunk', args }, signal)) as Int16Array;
  };

  /** Never in a worker: `errorsOf` is a function, which cannot be sent. */
  readonly gradient: Engine['gradient'] = async (...call) => {
    if (!this.#gradients) throw new UnsupportedError('Pictures are not optimized here');
    return this.#openChunks(this.#gradients).gradient(...call);
  };

  readonly backpropagate: Engine['backpropagate'] = async (...call) => {
    if (!this.#gradients) throw new UnsupportedError('Pictures are not optimized here');
    return this.#openChunks(this.#gradients).backpropagate(...call);
  };

  readonly features: Engine['features'] = async (latents, level, sites, quality, signal) => {
    const connection = this.#idlest;
    const map = ++this.#lastMap;
    const args = [ownPatch(latents), level, sites, quality];
    const facts = await connection.call({ kind: 'features', map, args }, signal, () =>
      connection.post({ kind: 'close-features', map }),
    );
    return new WorkerFeatures(connection, map, facts as FeatureFacts);
  };

  readonly pixels: Engine['pixels'] = async (features, queries, signal) => {
    if (!(features instanceof WorkerFeatures) || !this.#connections.includes(features.connection))
      throw new RequestError('The feature map belongs to another engine');
    const { connection, map } = features;
    const lent = this.#samples?.take(queries);
    const giveBack = () => {
      if (lent) this.#samples!.give(lent);
    };
    // A caller's `into` is not sent; samples are copied to it.
    const sent = queries.map(
      ({ rows, columns, depth }, i): Query => ({
        rows: ownAxis(rows),
        columns: ownAxis(columns),
        depth,
        into: lent?.views[i],
      }),
    );
    const found = (await connection.call(
      { kind: 'pixels', map, queries: sent },
      signal,
      giveBack,
    )) as Samples[];
    if (!lent) return found;
    const samples = found.map((view, i) => copied(view, queries[i]!.into));
    // Not after a failure: the worker may still write to it.
    giveBack();
    return samples;
  };

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  get #idlest(): Connection {
    return this.#connections.reduce((best, one) => (one.waiting < best.waiting ? one : best));
  }

  #openChunks(chunks: ChunkCoder): ChunkCoder {
    if (this.#closed) throw new EngineError('the engine is closed');
    return chunks;
  }
}

/**
 * A view in memory of its own: `postMessage` would send all of the memory that it is a view of, a whole file
 * or picture.
 */
function own<T extends Uint8Array | Int16Array | Int32Array>(view: T): T {
  if (view.byteLength === view.buffer.byteLength) return view;
  // `slice` of a Buffer gives another view of its memory; that of typed arrays copies.
  return Uint8Array.prototype.slice.call(view) as T;
}

function ownPatch({ rect, channels, data }: Patch): Patch {
  return { rect, channels, data: own(data) };
}

function ownAxis({ index, fraction, cell }: Axis): Axis {
  return { index: own(index), fraction: own(fraction), cell };
}

/** Samples in memory of the caller: copied if they lie in shared memory, into `into` if that fits. */
function copied(samples: Samples, into: Uint8Array | undefined): Samples {
  if (!(samples.buffer instanceof SharedArrayBuffer)) return samples;
  if (!into || into.length !== samples.length || samples instanceof Uint16Array) return samples.slice();
  into.set(samples);
  return into;
}

class WorkerFeatures implements FeatureMap {
  readonly connection: Connection;
  readonly map: number;
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;
  #closed = false;

  constructor(connection: Connection, map: number, facts: FeatureFacts) {
    this.connection = connection;
    this.map = map;
    this.rect = facts.rect;
    this.level = facts.level;
    this.byteLength = facts.byteLength;
  }

  async read(): Promise<Int16Array> {
    return (await this.connection.call({ kind: 'read', map: this.map }, undefined)) as Int16Array;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.post({ kind: 'close-features', map: this.map });
  }
}

type WithoutId<T> = T extends { readonly id: number } ? Omit<T, 'id'> : never;

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

/** A worker, and the calls that wait for its answers. */
class Connection {
  readonly #worker: EngineWorker;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #failure: Error | undefined;
  #ended: unknown;

  constructor(worker: EngineWorker) {
    this.#worker = worker;
    worker.onMessage((message) => {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (this.#pending.size === 0) worker.hold?.(false);
      if (message.kind === 'done') pending?.resolve(message.result);
      else pending?.reject(fromWire(message.error));
    });
    worker.onFailure((cause) =>
      this.#fail(new EngineError(`A worker of the engine has died: ${messageOf(cause)}`, { cause })),
    );
  }

  /** Calls under way; of a worker that has died, more than of any other. */
  get waiting(): number {
    return this.#failure === undefined ? this.#pending.size : Number.POSITIVE_INFINITY;
  }

  post(message: WithoutId<ToWorker>): number {
    const id = ++this.#lastId;
    if (this.#failure === undefined) this.#worker.post({ ...message, id } as ToWorker);
    return id;
  }

  /**
   * Sends a message and waits for the answer. `unwanted` is called if the answer comes after the call was
   * aborted.
   */
  call(
    message: WithoutId<ToWorker>,
    signal: AbortSignal | undefined,
    unwanted?: () => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      if (signal?.aborted) return reject(signal.reason);
      let aborted = false;
      const id = this.post(message);
      const forget = onAbort(signal, () => {
        aborted = true;
        this.#worker.post({ kind: 'abort', id });
        reject(signal!.reason);
      });
      this.#worker.hold?.(true);
      this.#pending.set(id, {
        resolve: (result) => {
          forget();
          if (aborted) unwanted?.();
          else resolve(result);
        },
        reject: (reason) => {
          forget();
          reject(reason);
        },
      });
    });
  }

  /** Resolves when the worker has ended. */
  async close(): Promise<void> {
    this.#fail(new EngineError('the engine is closed'));
    await this.#ended;
  }

  #fail(reason: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#ended = this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}
