import type { Engine, FeatureMap } from '../../engine/engine.ts';
import { EngineError } from '../../errors.ts';
import { decodedChunks } from '../../features/latents.ts';
import type { LeasedCache } from '../../features/leased-cache.ts';
import type { Raster } from '../../image/raster.ts';
import { featureBlocks, pixelBlocks } from '../pictures/liif-picture.ts';
import { stopping } from '../problem.ts';
import { batchPixels } from './pixel-batches.ts';

/** An engine with what it has decoded; all of it goes together. */
export interface RunningEngine {
  readonly engine: Engine;
  readonly features: LeasedCache<FeatureMap>;
  readonly chunks: LeasedCache<Int16Array>;
  /** Undefined where no pixels are kept. */
  readonly pixels: LeasedCache<Raster> | undefined;
  /** Counts the engines of this server. */
  readonly generation: number;
}

export interface EngineHostOptions {
  readonly openEngine: () => Promise<Engine>;
  readonly featureCacheBytes: number;
  readonly latentCacheBytes: number;
  /** Bound of the pixels on sites; 0: none are kept. */
  readonly pixelCacheBytes: number;
  readonly onReplaced?: (reason: string) => void;
  /** Told each time that none can be opened. */
  readonly onUnopened?: (error: unknown) => void;
  readonly onBatch?: (requests: number) => void;
  /** Shortest time between two replacements, default 2 s. */
  readonly pauseMs?: number;
}

/** Keeps one engine running: a failed one is replaced, with its features, and pictures are opened again with the new one. */
export class EngineHost {
  readonly #options: EngineHostOptions;
  #current: Promise<RunningEngine> | undefined;
  #generation = 0;
  #replacedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: EngineHostOptions) {
    this.#options = options;
  }

  /** The engine; opened on first use. Rejects with EngineError while none can be opened, with Problem when the server is stopping. */
  running(): Promise<RunningEngine> {
    if (this.#closed) return Promise.reject(stopping());
    if (this.#current) return this.#current;
    const opening = this.#open();
    this.#current = opening;
    // A failure is not kept: the next request tries again.
    opening.catch((error: unknown) => {
      if (this.#current === opening) this.#current = undefined;
      this.#options.onUnopened?.(error);
    });
    return opening;
  }

  /** Replaces the engine of this generation after it has failed. Others that saw it fail get the same new one. */
  async replace(generation: number, reason: unknown): Promise<void> {
    const failed = this.#current;
    if (failed === undefined || this.#closed) return;
    const old = await failed.catch(() => undefined);
    if (old === undefined || old.generation !== generation || this.#current !== failed) return;
    if (performance.now() - this.#replacedAt < (this.#options.pauseMs ?? 2000)) return;
    this.#replacedAt = performance.now();
    this.#current = undefined;
    this.#options.onReplaced?.(reason instanceof Error ? reason.message : String(reason));
    // Who waits for it may ask the next one.
    await end(old, new EngineError('the engine has been replaced')).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    const current = await this.#current?.catch(() => undefined);
    if (current) await end(current, stopping());
  }

  async #open(): Promise<RunningEngine> {
    const engine = await this.#options.openEngine();
    if (!engine.exact) {
      await engine.close();
      throw new EngineError(`The ${engine.name} engine is not exact; a server needs one that is`);
    }
    return {
      engine: batchPixels(engine, this.#options.onBatch),
      features: featureBlocks(this.#options.featureCacheBytes),
      chunks: decodedChunks(this.#options.latentCacheBytes),
      pixels: this.#options.pixelCacheBytes > 0 ? pixelBlocks(this.#options.pixelCacheBytes) : undefined,
      generation: ++this.#generation,
    };
  }
}

/** `reason`: what those get who wait for something of this engine. */
async function end({ engine, features, chunks, pixels }: RunningEngine, reason: Error): Promise<void> {
  features.close(reason);
  chunks.close(reason);
  pixels?.close(reason);
  await engine.close();
}
