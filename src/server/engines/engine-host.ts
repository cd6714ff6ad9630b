import type { Engine, FeatureMap } from '../../engine/engine.ts';
import { EngineError, isLiifError, messageOf } from '../../errors.ts';
import { decodedChunks } from '../../features/latents.ts';
import { LeasedCache } from '../../features/leased-cache.ts';
import type { Raster } from '../../image/raster.ts';
import type { Model } from '../../network/model.ts';
import { sitesOf, whole } from '../../network/window.ts';
import { closeAll } from '../close-all.ts';
import { stopping } from '../problem.ts';
import { batchPixels } from './pixel-batches.ts';

/** What engines have decoded. Pictures of all models share the caches and their bounds. */
interface Decoded {
  /** Blocks of features. */
  readonly features: LeasedCache<FeatureMap>;
  readonly chunks: LeasedCache<Int16Array>;
  /** Pixels on the sites of blocks; undefined where none are kept. */
  readonly pixels: LeasedCache<Raster> | undefined;
}

export interface RunningEngine extends Decoded {
  readonly engine: Engine;
}

export interface CacheCounts {
  /** Kept now. */
  readonly bytes: number;
  /** Look-ups since the start of the server. */
  readonly hits: number;
  readonly misses: number;
}

/** Engines and what they have decoded, replaced together. */
interface Generation extends Decoded {
  readonly number: number;
  /**
   * One for each model that a picture has named so far, by the model's hash; under `OWN` that of the server's
   * own model.
   */
  readonly engines: Map<string, Promise<Engine>>;
}

const OWN = 'own';
/** How long an engine may take for the smallest call before it counts as dead. */
const PROBE_MS = 5000;

export interface EngineHostOptions {
  /** Opens an engine of this model, or of the server's own, the released one. */
  readonly openEngine: (model?: Model) => Promise<Engine>;
  /** Models beside the server's own. */
  readonly models?: readonly Model[];
  readonly featureCacheBytes: number;
  readonly latentCacheBytes: number;
  /** Bound of the pixels on sites; 0: none are kept. */
  readonly pixelCacheBytes: number;
  readonly onReplaced?: (reason: string) => void;
  /** Hears of each failure to open an engine. */
  readonly onUnopened?: (error: unknown) => void;
  readonly onBatch?: (requests: number) => void;
  /** Shortest time between two looks at engines after failed calls, default 2 s. */
  readonly pauseMs?: number;
  /** Time after a failure to open an engine until it is tried again without a request, default 5 s. */
  readonly retryMs?: number;
}

/**
 * Keeps engines running, one for each model in use. When one has died, all are replaced, together with what
 * they have decoded: they may share a device. Pictures are then opened again with the new engines.
 */
export class EngineHost {
  readonly #options: EngineHostOptions;
  readonly #models: ReadonlyMap<string, Model>;
  /** Keys of models whose engine could not be opened when it was last wanted. */
  readonly #failing = new Set<string>();
  #retry: NodeJS.Timeout | undefined;
  #current: Generation;
  /** What `caches` said when the engines were last replaced. */
  #before: Readonly<Record<string, CacheCounts>> = {};
  #looking: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: EngineHostOptions) {
    this.#options = options;
    this.#models = new Map(options.models?.map((model) => [model.hash, model]));
    this.#current = this.#begin(1);
  }

  /** Counts replacements of the engines, from 1. */
  get generation(): number {
    return this.#current.number;
  }

  /**
   * False while an engine that was wanted cannot be opened. Opening is tried again without a request:
   * balancers send none meanwhile.
   */
  get healthy(): boolean {
    return this.#failing.size === 0;
  }

  /**
   * What the caches of decoded data hold now, and how often they were asked since the start, by what they
   * keep.
   */
  get caches(): Readonly<Record<string, CacheCounts>> {
    const { features, chunks, pixels } = this.#current;
    const now = { features, latents: chunks, ...(pixels && { pixels }) };
    return Object.fromEntries(
      Object.entries(now).map(([name, { bytes, hits, misses }]) => {
        const before = this.#before[name];
        return [name, { bytes, hits: hits + (before?.hits ?? 0), misses: misses + (before?.misses ?? 0) }];
      }),
    );
  }

  /**
   * The engine for files that name this model, opened on first use. Without a hash, and for unknown models,
   * the engine of the server's own model. Rejects with EngineError while the engine cannot be opened, and
   * with Problem when the server is stopping.
   */
  async running(hash?: string): Promise<RunningEngine> {
    if (this.#closed) throw stopping();
    const { engines, features, chunks, pixels } = this.#current;
    const model = hash === undefined ? undefined : this.#models.get(hash);
    const key = model?.hash ?? OWN;
    let opening = engines.get(key);
    if (!opening) {
      opening = this.#open(model);
      engines.set(key, opening);
      opening.then(
        () => this.#failing.delete(key),
        (error: unknown) => {
          // The next request tries again.
          engines.delete(key);
          this.#failing.add(key);
          this.#retryLater();
          this.#options.onUnopened?.(error);
        },
      );
    }
    return { engine: await opening, features, chunks, pixels };
  }

  /**
   * After a call of this generation has failed: replaces its engines if one of them is dead. If all are
   * alive, the failure was that call's alone, for want of memory for example, and only the kept features go.
   * All who saw a failure get the same new engines.
   */
  async recover(generation: number, reason: unknown): Promise<void> {
    if (this.#closed || this.#current.number !== generation || this.#current.engines.size === 0) return;
    if (!this.#looking) {
      if (performance.now() - this.#lookedAt < (this.#options.pauseMs ?? 2000)) return;
      this.#lookedAt = performance.now();
      this.#looking = this.#look(reason).finally(() => {
        this.#looking = undefined;
      });
    }
    await this.#looking;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await end(this.#current, stopping());
  }

  async #look(reason: unknown): Promise<void> {
    const old = this.#current;
    const alive = await Promise.all([...old.engines.values()].map(isAlive));
    if (this.#closed) return;
    if (alive.every(Boolean)) {
      old.features.clear();
      return;
    }
    this.#before = this.caches;
    this.#current = this.#begin(old.number + 1);
    this.#options.onReplaced?.(messageOf(reason));
    // Whoever waits for an old engine may ask the next one.
    await end(old, new EngineError('the engine has been replaced')).catch(() => {});
  }

  #retryLater(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      for (const key of this.#failing) this.running(key).catch(() => {});
    }, this.#options.retryMs ?? 5000).unref();
  }

  #begin(number: number): Generation {
    const { featureCacheBytes, latentCacheBytes, pixelCacheBytes } = this.#options;
    return {
      number,
      engines: new Map(),
      features: new LeasedCache({
        maxBytes: featureCacheBytes,
        sizeOf: (map) => map.byteLength,
        close: (map) => map.close(),
      }),
      chunks: decodedChunks(latentCacheBytes),
      pixels:
        pixelCacheBytes > 0
          ? new LeasedCache({ maxBytes: pixelCacheBytes, sizeOf: ({ data }) => data.byteLength })
          : undefined,
    };
  }

  async #open(model: Model | undefined): Promise<Engine> {
    const engine = await this.#options.openEngine(model).catch((error: unknown) => {
      throw isLiifError(error)
        ? error
        : new EngineError(`the engine cannot be opened: ${messageOf(error)}`, { cause: error });
    });
    if (!engine.exact) {
      await engine.close();
      throw new EngineError(`The ${engine.name} engine is not exact; a server needs one that is`);
    }
    return batchPixels(engine, this.#options.onBatch);
  }
}

/**
 * Whether an engine still computes, which one that cannot say so shows by the features of the smallest level
 * there is.
 */
async function isAlive(opening: Promise<Engine>): Promise<boolean> {
  const engine = await opening.catch(() => undefined);
  if (!engine) return true; // the next request opens another one
  if (engine.broken !== undefined) return !engine.broken;
  const { model } = engine;
  const channels = model.latentChannels;
  const level = { height: 1, width: 1 };
  const latents = { rect: whole(level), channels, data: new Int16Array(channels) };
  const sites = sitesOf(model, latents.rect);
  try {
    const map = await engine.features(latents, level, sites, 1, AbortSignal.timeout(PROBE_MS));
    map.close();
    return true;
  } catch {
    return false;
  }
}

/** Closes a generation. Loads that wait for it reject with `reason`. */
async function end({ engines, features, chunks, pixels }: Generation, reason: Error): Promise<void> {
  features.close(reason);
  chunks.close(reason);
  pixels?.close(reason);
  await closeAll(
    [...engines.values()].map((opening) => async () => (await opening.catch(() => undefined))?.close()),
  );
}
