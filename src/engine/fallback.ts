import { EngineError } from '../errors.ts';
import type { Model } from '../network/model.ts';
import { hasFailed } from './arguments.ts';
import type { Engine, EngineName, Extent, FeatureMap, Rect } from './engine.ts';

/** So many failures in a row, and the preferred engine is not asked again. */
const MAX_FAILURES = 3;

/**
 * The preferred engine, and another for whatever it fails at (EngineError): each such call is made again, so none is lost. Both are exact, so nobody sees
 * the difference. Feature maps keep the latents that they were made of, a fraction of their size, to be made again elsewhere. Both engines belong to
 * the result. `onWarning` is told once, the first time that the second engine stands in.
 */
export function withFallback(first: Engine, second: Engine, onWarning: (message: string) => void): Engine {
  if (!first.exact || !second.exact) throw new EngineError('Only exact engines stand in for each other');
  return new FallbackEngine(first, second, onWarning);
}

class FallbackEngine implements Engine {
  readonly name: EngineName;
  readonly exact = true;
  readonly model: Model;
  readonly threads: number;
  readonly device?: string;
  readonly plainSpeed?: NonNullable<Engine['plainSpeed']>;
  readonly second: Engine;
  readonly #first: Engine;
  readonly #onWarning: (message: string) => void;
  #warned = false;
  #failures = 0;
  #closed = false;

  constructor(first: Engine, second: Engine, onWarning: (message: string) => void) {
    this.name = first.name;
    this.model = first.model;
    this.threads = first.threads;
    if (first.device !== undefined) this.device = first.device;
    if (first.plainSpeed) this.plainSpeed = (signal) => first.plainSpeed!(signal);
    this.second = second;
    this.#first = first;
    this.#onWarning = onWarning;
  }

  readonly analyze: Engine['analyze'] = (...call) => this.either((engine) => engine.analyze(...call), call);

  readonly encodeChunk: Engine['encodeChunk'] = (...call) =>
    this.either((engine) => engine.encodeChunk(...call), call);

  readonly decodeChunk: Engine['decodeChunk'] = (...call) =>
    this.either((engine) => engine.decodeChunk(...call), call);

  readonly features: Engine['features'] = async (latents, level, sites, quality, signal) => {
    const make = (engine: Engine, stop?: AbortSignal) =>
      engine.features(latents, level, sites, quality, stop);
    const made = await this.either(async (engine) => ({ engine, map: await make(engine, signal) }), [signal]);
    return new FallbackFeatures(this, made, () => make(this.second), latents.data.byteLength);
  };

  readonly pixels: Engine['pixels'] = (features, ...call) =>
    features instanceof FallbackFeatures
      ? features.use((engine, map) => engine.pixels(map, ...call), call)
      : this.either((engine) => engine.pixels(features, ...call), call);

  readonly gradient: Engine['gradient'] = (...call) =>
    this.either((engine) => engine.gradient(...call), call);

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#first.close(), this.second.close()]);
  }

  /** A call of the first engine, or where that fails, or is not to be asked, of the second. */
  async either<T>(
    work: (engine: Engine) => Promise<T>,
    call: readonly unknown[] = [],
    askFirst = true,
  ): Promise<T> {
    if (this.#closed) throw new EngineError('the engine is closed');
    if (askFirst && this.#failures < MAX_FAILURES) {
      try {
        const result = await work(this.#first);
        this.#failures = 0;
        return result;
      } catch (error) {
        if (!hasFailed(error, call) || this.#closed) throw error;
        this.#fail(error);
      }
    }
    return work(this.second);
  }

  #fail(error: Error): void {
    this.#failures++;
    // Its memory is of no more use.
    if (this.#failures === MAX_FAILURES) void this.#first.close().catch(() => {});
    if (this.#warned) return;
    this.#warned = true;
    this.#onWarning(`${error.message}; the ${this.second.name} engine stands in`);
  }
}

interface Made {
  readonly engine: Engine;
  readonly map: FeatureMap;
}

class FallbackFeatures implements FeatureMap {
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;
  readonly #engine: FallbackEngine;
  readonly #made: Made;
  readonly #makeAgain: () => Promise<FeatureMap>;
  #second: Promise<FeatureMap> | undefined;
  #closed = false;

  constructor(engine: FallbackEngine, made: Made, makeAgain: () => Promise<FeatureMap>, keptBytes: number) {
    this.#engine = engine;
    this.#made = made;
    this.#makeAgain = makeAgain;
    this.rect = made.map.rect;
    this.level = made.map.level;
    this.byteLength = made.map.byteLength + keptBytes;
  }

  /** A call for the map. The first engine is not asked where the second has made it: not to have it is no failure. */
  async use<T>(
    work: (engine: Engine, map: FeatureMap) => Promise<T>,
    call: readonly unknown[] = [],
  ): Promise<T> {
    this.#expectOpen();
    const askFirst = this.#made.engine !== this.#engine.second;
    return this.#engine.either(async (engine) => work(engine, await this.#on(engine)), call, askFirst);
  }

  read(): Promise<Int16Array> {
    return this.use((_, map) => map.read());
  }

  close(): void {
    this.#closed = true;
    this.#made.map.close();
    this.#second?.then((map) => map.close()).catch(() => {});
  }

  /** The map for that engine; on the second one it is made again, once. */
  async #on(engine: Engine): Promise<FeatureMap> {
    if (engine === this.#made.engine) return this.#made.map;
    // Closed while the first one failed.
    this.#expectOpen();
    this.#second ??= this.#makeAgain().catch((error) => {
      this.#second = undefined;
      throw error;
    });
    return this.#second;
  }

  #expectOpen(): void {
    if (this.#closed) throw new EngineError('the feature map is closed');
  }
}
