import { EngineError } from '../errors.ts';
import type { Engine, Extent, FeatureMap, Rect } from './engine.ts';

/**
 * Does something with the engine whose turn it is. `call`: the caller's arguments, as `hasFailed` looks at
 * them.
 */
export type Use = <T>(work: (engine: Engine) => Promise<T>, call: readonly unknown[]) => Promise<T>;

/**
 * The calls of an engine that is made of engines, but those that make or reduce feature maps: `use` says
 * which engine's turn it is.
 */
export function callsBy(
  use: Use,
): Pick<Engine, 'analyze' | 'encodeChunk' | 'decodeChunk' | 'gradient' | 'backpropagate' | 'pixels'> {
  return {
    analyze: (...call) => use((engine) => engine.analyze(...call), call),
    encodeChunk: (...call) => use((engine) => engine.encodeChunk(...call), call),
    decodeChunk: (...call) => use((engine) => engine.decodeChunk(...call), call),
    gradient: (...call) => use((engine) => engine.gradient(...call), call),
    backpropagate: (...call) => use((engine) => engine.backpropagate(...call), call),
    pixels: (features, ...call) =>
      features instanceof PortableFeatures
        ? features.use((engine, map) => engine.pixels(map, ...call), call)
        : use((engine) => engine.pixels(features, ...call), call),
  };
}

/** Where a map comes from, and who says which engine it is needed on. */
export interface FeatureOrigin {
  /** The call that made it. */
  readonly call: Parameters<Engine['features']>;
  readonly use: Use;
  /**
   * Whether engines follow each other: once one asks for the map, the one before is gone. Default: all stay,
   * and so do their maps.
   */
  readonly oneAtATime?: boolean;
  readonly onClose?: () => void;
}

/**
 * A feature map that does not depend on one engine: it keeps its latents, a fraction of its size, and is made
 * again on any other engine that needs it.
 */
export class PortableFeatures implements FeatureMap {
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;
  readonly #origin: FeatureOrigin;
  readonly #maps: Map<Engine, Promise<FeatureMap>>;
  #closed = false;

  /** `map`: what `engine` has made of the origin's call. */
  constructor(map: FeatureMap, engine: Engine, origin: FeatureOrigin) {
    this.rect = map.rect;
    this.level = map.level;
    this.byteLength = map.byteLength + origin.call[0].data.byteLength;
    this.#origin = origin;
    this.#maps = new Map([[engine, Promise.resolve(map)]]);
  }

  /** A call that needs the map. Rejects with EngineError once the map is closed. */
  async use<T>(
    work: (engine: Engine, map: FeatureMap) => Promise<T>,
    call: readonly unknown[] = [],
  ): Promise<T> {
    this.#expectOpen();
    return this.#origin.use(async (engine) => work(engine, await this.on(engine)), call);
  }

  /** The map on this engine, which makes it at most once. Rejects with EngineError once the map is closed. */
  async on(engine: Engine): Promise<FeatureMap> {
    this.#expectOpen();
    let map = this.#maps.get(engine);
    if (map === undefined) {
      if (this.#origin.oneAtATime) this.#drop();
      const [latents, level, sites, quality] = this.#origin.call;
      // Without the signal of the caller: others may wait for it too.
      map = engine.features(latents, level, sites, quality);
      this.#maps.set(engine, map);
      map.catch(() => this.#maps.delete(engine));
    }
    return map;
  }

  read(): Promise<Int16Array> {
    return this.use((_, map) => map.read());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#drop();
    this.#origin.onClose?.();
  }

  #expectOpen(): void {
    if (this.#closed) throw new EngineError('the feature map is closed');
  }

  #drop(): void {
    for (const map of this.#maps.values())
      map.then(
        (made) => made.close(),
        () => {}, // it was never made
      );
    this.#maps.clear();
  }
}
