import { hasFailed, withInnerMaps } from './arguments.ts';
import type { Engine, Reduction } from './engine.ts';
import { callsBy, PortableFeatures } from './portable-features.ts';

export interface SharedEngineOptions {
  readonly open: () => Promise<Engine>;
  /** An engine that has had nothing to do for so long is closed; the next call opens another. */
  readonly idleMs: number;
}

/**
 * One engine for callers who do not own one. The first call opens it. It is closed when no call has been
 * under way, and no feature map open, for a while; neither that timer nor an idle engine keeps the process
 * alive. An engine that is broken is replaced, and feature maps are made again on the next
 * (PortableFeatures).
 */
export class SharedEngine {
  readonly #options: SharedEngineOptions;
  #opening: Promise<Engine> | undefined;
  #users = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: SharedEngineOptions) {
    this.#options = options;
  }

  /**
   * An engine that stays usable until the process ends. Rejects as `open` does; the next call tries again.
   */
  async engine(): Promise<Engine> {
    return this.#use(
      // All engines that `open` gives have the same facts.
      async ({ name, exact, model, threads, device, reduce }) => ({
        ...callsBy((work, call) => this.#use(work, call)),
        name,
        exact,
        model,
        threads,
        ...(device !== undefined && { device }),
        features: this.#features,
        ...(reduce && { reduce: (...call) => this.#reduce(...call) }),
        // It belongs to all callers.
        close: async () => {},
      }),
      [],
    );
  }

  #reduce(reduction: Reduction, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#use(
      async (engine) => {
        const parts = await withInnerMaps(reduction.parts, (map) =>
          map instanceof PortableFeatures ? map.on(engine) : map,
        );
        return engine.reduce!({ ...reduction, parts }, signal);
      },
      [signal],
    );
  }

  /** A map lives in its engine, which therefore stays open as long as the map. */
  readonly #features: Engine['features'] = (...call) =>
    this.#use(async (engine) => {
      const map = await engine.features(...call);
      this.#enter();
      return new PortableFeatures(map, engine, {
        call,
        use: (work, args) => this.#use(work, args),
        oneAtATime: true,
        onClose: () => this.#leave(),
      });
    }, call);

  async #use<T>(work: (engine: Engine) => Promise<T>, call: readonly unknown[]): Promise<T> {
    this.#enter();
    const opening = this.#open();
    try {
      const engine = await opening;
      try {
        return await work(engine);
      } catch (error) {
        // A call may also be too large for an engine that works. One that is broken gives way: the next call
        // gets another.
        if (hasFailed(error, call) && engine.broken !== false && this.#opening === opening) this.#release();
        throw error;
      }
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
