import type { Model } from '../network/model.ts';
import type { Engine, EngineName } from './engine.ts';

export interface EngineOptions {
  /** Number of threads, for engines that have threads. Default: one per processor. */
  readonly threads?: number;
  /**
   * Linux's nice value of the engine's threads, 0 (default) to 19, so that a server answers while it decodes.
   */
  readonly niceness?: number;
  /**
   * Whether an engine on a graphics card gets a thread of its own, which keeps the event loop of the caller
   * free. Default false.
   */
  readonly apart?: boolean;
  readonly signal?: AbortSignal;
}

/** An engine that may be there. */
export interface EngineEntry {
  readonly name: EngineName;
  readonly exact: boolean;
  /**
   * Loads and starts the engine. Where it cannot run, rejects with UnsupportedError or EngineError, whose
   * message says why, and what to install if something is missing.
   */
  readonly open: (model: Model, options: EngineOptions) => Promise<Engine>;
}
