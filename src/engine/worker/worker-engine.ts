import { EngineError } from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import { onAbort } from '../../on-abort.ts';
import type { Engine, EngineName, Extent, FeatureMap, Patch, Query, Rect, Samples } from '../engine.ts';
import { type FeatureFacts, type FromWorker, fromWire, type Result, type ToWorker } from './messages.ts';

/** A worker that runs `serveEngine`. */
export interface EngineWorker {
  post(message: ToWorker): void;
  onMessage(callback: (message: FromWorker) => void): void;
  /** Called when the worker ends without having been told to. */
  onFailure(callback: (reason: unknown) => void): void;
  terminate(): void;
}

export interface WorkerEngineOptions {
  /** What the workers run. */
  readonly name: EngineName;
  readonly startWorker: () => EngineWorker;
  readonly workers: number;
  readonly signal?: AbortSignal;
}

/**
 * Engines in workers that share no memory: each call goes to the one that has least to do, pixels to the one that has the features. Results are those of
 * the engines inside. Rejects with EngineError when a worker does not start.
 */
export async function openWorkerEngine(model: Model, options: WorkerEngineOptions): Promise<Engine> {
  const connections = Array.from({ length: options.workers }, () => new Connection(options.startWorker()));
  try {
    await Promise.all(
      connections.map((connection) => connection.call({ kind: 'start', model }, options.signal)),
    );
  } catch (error) {
    for (const connection of connections) connection.close();
    throw error;
  }
  return new WorkerEngine(model, options.name, connections);
}

class WorkerEngine implements Engine {
  readonly name: EngineName;
  readonly exact = true;
  readonly model: Model;
  readonly threads: number;
  readonly #connections: readonly Connection[];
  #lastMap = 0;

  constructor(model: Model, name: EngineName, connections: readonly Connection[]) {
    this.name = name;
    this.model = model;
    this.threads = connections.length;
    this.#connections = connections;
  }

  async analyze(
    pixels: Patch,
    picture: Extent,
    latents: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array> {
    const args = [pixels, picture, latents, quality];
    return (await this.#idlest.call({ kind: 'call', name: 'analyze', args }, signal)) as Int16Array;
  }

  async encodeChunk(
    ...[analysis, chunk, quality, signal]: Parameters<Engine['encodeChunk']>
  ): ReturnType<Engine['encodeChunk']> {
    const args = [analysis, chunk, quality];
    const result = await this.#idlest.call({ kind: 'call', name: 'encodeChunk', args }, signal);
    return result as Awaited<ReturnType<Engine['encodeChunk']>>;
  }

  async decodeChunk(
    bytes: Uint8Array,
    chunk: Extent,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array> {
    // A copy: what is a view of a whole file would travel with all of it.
    const args = [new Uint8Array(bytes), chunk, quality];
    return (await this.#idlest.call({ kind: 'call', name: 'decodeChunk', args }, signal)) as Int16Array;
  }

  async features(
    latents: Patch,
    level: Extent,
    sites: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<FeatureMap> {
    const connection = this.#idlest;
    const map = ++this.#lastMap;
    const args = [latents, level, sites, quality];
    const facts = await connection.call({ kind: 'features', map, args }, signal, () =>
      connection.post({ kind: 'close-features', map }),
    );
    return new WorkerFeatures(connection, map, facts as FeatureFacts);
  }

  async pixels(features: FeatureMap, queries: readonly Query[], signal?: AbortSignal): Promise<Samples[]> {
    if (!(features instanceof WorkerFeatures)) throw new EngineError('the feature map is of another engine');
    const { connection, map } = features;
    return (await connection.call({ kind: 'pixels', map, queries }, signal)) as Samples[];
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
  }

  get #idlest(): Connection {
    return this.#connections.reduce((best, one) => (one.waiting < best.waiting ? one : best));
  }
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

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

/** A worker and the calls that wait for it. */
class Connection {
  readonly #worker: EngineWorker;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #failure: Error | undefined;

  constructor(worker: EngineWorker) {
    this.#worker = worker;
    worker.onMessage((message) => {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.kind === 'done') pending?.resolve(message.result);
      else pending?.reject(fromWire(message.error));
    });
    worker.onFailure((cause) => this.#fail(new EngineError('A worker of the engine has died', { cause })));
  }

  get waiting(): number {
    return this.#pending.size;
  }

  post(message: WithoutId<ToWorker>): number {
    const id = ++this.#lastId;
    if (this.#failure === undefined) this.#worker.post({ ...message, id } as ToWorker);
    return id;
  }

  /** `unwanted`: called when the result comes after the call was aborted. */
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

  close(): void {
    this.#fail(new EngineError('the engine is closed'));
  }

  #fail(reason: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}
