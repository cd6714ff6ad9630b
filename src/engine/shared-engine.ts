import { isLiifError } from '../errors.ts';
import { withInnerMaps } from './arguments.ts';
import type { Engine, FeatureMap, Reduction } from './engine.ts';

export interface SharedEngineOptions {
  readonly open: () => Promise<Engine>;
  /** The engine is closed when it has had nothing to do for so long; the next call opens one again. */
  readonly idleMs: number;
}

/**
 * One engine for callers who do not want to own any: opened by the first call, closed when no call is under way and no feature map is open any
 * more. Neither waiting for that nor an idle engine keeps the process alive.
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
    return this.#use(async ({ name, exact, model, threads, device, reduce }) => ({
      ...this.#standIn({ name, exact, model, threads, ...(device !== undefined && { device }) }),
      ...(reduce && { reduce: (...call) => this.#reduce(...call) }),
    }));
  }

  /** Passes every call on to the engine that is open at that time. All have the same model and are exact, or not, alike. */
  #standIn(facts: Pick<Engine, 'name' | 'exact' | 'model' | 'threads' | 'device'>): Engine {
    return {
      ...facts,
      analyze: (...call) => this.#use((engine) => engine.analyze(...call)),
      encodeChunk: (...call) => this.#use((engine) => engine.encodeChunk(...call)),
      decodeChunk: (...call) => this.#use((engine) => engine.decodeChunk(...call)),
      features: (...call) => this.#use(async (engine) => this.#held(await engine.features(...call))),
      pixels: (map, ...call) => this.#use((engine) => engine.pixels(innerOf(map), ...call)),
      gradient: (...call) => this.#use((engine) => engine.gradient(...call)),
      // It belongs to everybody.
      close: async () => {},
    };
  }

  #reduce(reduction: Reduction, signal?: AbortSignal): Promise<Uint8Array> {
    const parts = withInnerMaps(reduction.parts, innerOf);
    return this.#use((engine) => engine.reduce!({ ...reduction, parts }, signal));
  }

  async #use<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    this.#enter();
    const opening = this.#open();
    try {
      return await work(await opening);
    } catch (error) {
      // It has failed, and what it holds with it: the next call gets another.
      if (isLiifError(error, 'EngineError') && this.#opening === opening) this.#release();
      throw error;
    } finally {
      this.#leave();
    }
  }

  /** A map lives in its engine, which therefore stays open as long as the map. */
  #held(map: FeatureMap): FeatureMap {
    this.#enter();
    return new HeldMap(map, () => this.#leave());
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

const innerOf = (map: FeatureMap): FeatureMap => (map instanceof HeldMap ? map.inner : map);

class HeldMap implements FeatureMap {
  readonly inner: FeatureMap;
  #release: (() => void) | undefined;

  constructor(inner: FeatureMap, release: () => void) {
    this.inner = inner;
    this.#release = release;
  }

  get rect(): FeatureMap['rect'] {
    return this.inner.rect;
  }
  get level(): FeatureMap['level'] {
    return this.inner.level;
  }
  get byteLength(): number {
    return this.inner.byteLength;
  }
  read(): Promise<Int16Array> {
    return this.inner.read();
  }
  close(): void {
    this.inner.close();
    this.#release?.();
    this.#release = undefined;
  }
}
