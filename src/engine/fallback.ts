import { EngineError } from '../errors.ts';
import type { Model } from '../network/model.ts';
import { hasFailed } from './arguments.ts';
import type { Engine, EngineName } from './engine.ts';
import { PortableFeatures } from './portable-features.ts';

/** After so many failures in a row the first engine is closed. */
const MAX_FAILURES = 3;

/**
 * Two exact engines as one: the second is asked for each call that the first fails at (EngineError), so no call is lost, and the bytes are the same.
 * Feature maps can be made again on the second engine (PortableFeatures). Closing the result closes both. `onWarning` is called once, the first time that the
 * second engine stands in. Throws EngineError for an engine that is not exact.
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
  readonly #first: Engine;
  readonly #second: Engine;
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
    this.#first = first;
    this.#second = second;
    this.#onWarning = onWarning;
  }

  readonly analyze: Engine['analyze'] = (...call) => this.#either((engine) => engine.analyze(...call), call);

  readonly encodeChunk: Engine['encodeChunk'] = (...call) =>
    this.#either((engine) => engine.encodeChunk(...call), call);

  readonly decodeChunk: Engine['decodeChunk'] = (...call) =>
    this.#either((engine) => engine.decodeChunk(...call), call);

  readonly features: Engine['features'] = async (...call) => {
    const [map, maker] = await this.#either(
      async (engine) => [await engine.features(...call), engine] as const,
      call,
    );
    return new PortableFeatures(map, maker, {
      call,
      // The first engine is not asked for a map that the second has made: not to have it is no failure.
      use: (work, args) => this.#either(work, args, maker === this.#first),
    });
  };

  readonly pixels: Engine['pixels'] = (features, ...call) =>
    features instanceof PortableFeatures
      ? features.use((engine, map) => engine.pixels(map, ...call), call)
      : this.#either((engine) => engine.pixels(features, ...call), call);

  readonly gradient: Engine['gradient'] = (...call) =>
    this.#either((engine) => engine.gradient(...call), call);

  get broken(): boolean | undefined {
    return this.#second.broken;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#first.close(), this.#second.close()]);
  }

  /** Makes a call of the first engine; if that fails, or is not asked, of the second. */
  async #either<T>(
    work: (engine: Engine) => Promise<T>,
    call: readonly unknown[],
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
    return work(this.#second);
  }

  #fail(error: Error): void {
    this.#failures++;
    // Nobody asks it any more: give its memory back.
    if (this.#failures === MAX_FAILURES) void this.#first.close().catch(() => {});
    if (this.#warned) return;
    this.#warned = true;
    this.#onWarning(`${error.message}; the ${this.#second.name} engine stands in`);
  }
}
