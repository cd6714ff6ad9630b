import type { JobMessage, JobResult } from './thread.ts';

/** Work for threads. It allocates memory when it begins, and frees it when its last thread has answered. */
export interface Job<T> {
  /** How many threads can share it. */
  readonly maxThreads: number;
  /** Throws EngineError if there is no memory for it now. */
  begin(threads: number): RunningJob<T>;
}

export interface RunningJob<T> {
  /** Posted to each of the threads. */
  readonly message: JobMessage;
  readonly transfer?: ArrayBuffer[];
  /**
   * Posted to at most `maxHelpers` threads that have nothing else to do, until the first thread has answered.
   * Absent: no thread can help.
   */
  readonly help?: JobMessage;
  /** Default 0. */
  readonly maxHelpers?: number;
  /** Makes the threads stop early. */
  abort(): void;
  /** Called once all threads have answered. `result`: of the first thread. */
  finish(result: JobResult): T;
  /** Frees its memory, whether it finished or not. */
  release(): void;
}
