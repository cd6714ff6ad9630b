import { hasFailed } from './arguments.ts';
import type { Engine, FeatureMap, GridPart, Reduction } from './engine.ts';

export interface SharedEngineOptions {
  readonly open: () => Promise<Engine>;
  /** The engine is closed when it has had nothing to do for so long; the next call opens one again. */
  readonly idleMs: number;
}

/**
 * One engine for callers who do not want to own any: opened by the first call, closed when no call is under way and no feature map is open any
 * more. Neither waiting for that nor an idle engine keeps the process alive. One that fails is replaced; feature maps keep the latents that they were
 * made of, a fraction of their size, to be made again on the next.
 */
export class SharedEngine {
  readonly #options: SharedEngineOptions;
  #opening: Promise<Engine> | undefined;
  #users = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: SharedEngineOptions) {
    this.#options = options;
  }

  /** An engine that can be used until the process ends. Rejects as opening does; the next call tries again. */
  async engine(): Promise<Engine> {
    return this.#use(
      async ({ name, exact, model, threads, device, reduce }) => ({
        ...this.#standIn({ name, exact, model, threads, ...(device !== undefined && { device }) }),
        ...(reduce && { reduce: (...call) => this.#reduce(...call) }),
      }),
      [],
    );
  }

  /** Passes every call on to the engine that is open at that time. All have the same model and are exact, or not, alike. */
  #standIn(facts: Pick<Engine, 'name' | 'exact' | 'model' | 'threads' | 'device'>): Engine {
    return {
      ...facts,
      analyze: (...call) => this.#use((engine) => engine.analyze(...call), call),
      encodeChunk: (...call) => this.#use((engine) => engine.encodeChunk(...call), call),
      decodeChunk: (...call) => this.#use((engine) => engine.decodeChunk(...call), call),
      features: (...call) => this.#features(...call),
      pixels: (map, ...call) =>
        this.#use(async (engine) => engine.pixels(await innerOf(map, engine), ...call), call),
      gradient: (...call) => this.#use((engine) => engine.gradient(...call), call),
      // It belongs to everybody.
      close: async () => {},
    };
  }

  #reduce(reduction: Reduction, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#use(
      async (engine) => {
        const parts = await Promise.all(reduction.parts.map((part) => innerPart(part, engine)));
        return engine.reduce!({ ...reduction, parts }, signal);
      },
      [signal],
    );
  }

  /** A map lives in its engine, which therefore stays open as long as the map. */
  readonly #features: Engine['features'] = (latents, level, sites, quality, signal) => {
    const make = (engine: Engine, stop?: AbortSignal) =>
      engine.features(latents, level, sites, quality, stop);
    return this.#use(
      async (engine) => {
        const map = await make(engine, signal);
        this.#enter();
        return new HeldMap(map, engine, {
          keptBytes: latents.data.byteLength,
          make,
          use: (work) => this.#use(work, []),
          release: () => this.#leave(),
        });
      },
      [signal],
    );
  };

  async #use<T>(work: (engine: Engine) => Promise<T>, call: readonly unknown[]): Promise<T> {
    this.#enter();
    const opening = this.#open();
    try {
      return await work(await opening);
    } catch (error) {
      // It has failed, and what it holds with it: the next call gets another.
      if (hasFailed(error, call) && this.#opening === opening) this.#release();
      throw error;
    } finally {
      this.#leave();
    }
  }

  #open(): Promise<Engine> {
    if (!this.#opening) {
      const opening = this.#options.open();
      this.#opening = opening;
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
    }
    return this.#opening;
  }

  #enter(): void {
    this.#users++;
    clearTimeout(this.#idle);
  }

  #leave(): void {
    if (--this.#users > 0) return;
    this.#idle = setTimeout(() => this.#release(), this.#options.idleMs).unref();
  }

  #release(): void {
    const opening = this.#opening;
    this.#opening = undefined;
    opening?.then(
      (engine) => engine.close().catch(() => {}),
      () => {}, // it never opened
    );
  }
}

/** The map that `engine` has behind one that was given out. */
async function innerOf(map: FeatureMap, engine: Engine): Promise<FeatureMap> {
  return map instanceof HeldMap ? map.on(engine) : map;
}

async function innerPart(part: GridPart, engine: Engine): Promise<GridPart> {
  return 'features' in part ? { ...part, features: await innerOf(part.features, engine) } : part;
}

interface Holding {
  /** Bytes of the latents. */
  readonly keptBytes: number;
  make(engine: Engine): Promise<FeatureMap>;
  /** Does something with the engine that is open now. */
  use<T>(work: (engine: Engine) => Promise<T>): Promise<T>;
  release(): void;
}

class HeldMap implements FeatureMap {
  readonly rect: FeatureMap['rect'];
  readonly level: FeatureMap['level'];
  readonly byteLength: number;
  readonly #holding: Holding;
  #engine: Engine | undefined;
  #map: Promise<FeatureMap>;
  #closed = false;

  constructor(map: FeatureMap, engine: Engine, holding: Holding) {
    this.rect = map.rect;
    this.level = map.level;
    this.byteLength = map.byteLength + holding.keptBytes;
    this.#holding = holding;
    this.#engine = engine;
    this.#map = Promise.resolve(map);
  }

  /** The map on this engine. Where it is of one that has failed since, it is made again, once. */
  on(engine: Engine): Promise<FeatureMap> {
    if (engine === this.#engine || this.#closed) return this.#map;
    this.#drop();
    const making = this.#holding.make(engine);
    this.#engine = engine;
    this.#map = making;
    making.catch(() => {
      if (this.#map === making) this.#engine = undefined;
    });
    return making;
  }

  read(): Promise<Int16Array> {
    return this.#holding.use(async (engine) => (await this.on(engine)).read());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#drop();
    this.#holding.release();
  }

  #drop(): void {
    this.#map.then(
      (map) => map.close(),
      () => {}, // it was never made
    );
  }
}
