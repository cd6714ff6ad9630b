import type { Model } from '../network/model.ts';
import type { Engine, EngineName } from './engine.ts';

export interface EngineOptions {
  /** Threads, where the engine has threads. Default: one per processor. */
  readonly threads?: number;
  /** How much its threads give way to the rest of the process, 0 (default) to 19: Linux's nice. A server answers while it decodes. */
  readonly niceness?: number;
  /** An engine on a graphics card gets a thread of its own, which leaves the event loop to others. Default false. */
  readonly apart?: boolean;
  readonly signal?: AbortSignal;
}

/** An engine that may be there. */
export interface EngineEntry {
  readonly name: EngineName;
  readonly exact: boolean;
  /** Loads and starts it. Rejects with UnsupportedError or EngineError where it cannot run, saying why, and what to install if that is missing. */
  readonly open: (model: Model, options: EngineOptions) => Promise<Engine>;
}
