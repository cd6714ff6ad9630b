import type { JobMessage, JobResult } from './thread.ts';

/** What runs on threads. Its memory is taken when it begins and given back when its last thread has answered. */
export interface Job<T> {
  /** Threads that can share it. */
  readonly maxThreads: number;
  /** Throws EngineError when there is no memory for it. */
  begin(threads: number): RunningJob<T>;
}

export interface RunningJob<T> {
  /** Posted to each of the threads. */
  readonly message: JobMessage;
  readonly transfer?: ArrayBuffer[];
  /** Posted to threads that have nothing else to do, at most `maxHelpers` of them, until the first thread has answered. Absent: nobody can help. */
  readonly help?: JobMessage;
  /** Default 0. */
  readonly maxHelpers?: number;
  /** Makes the threads stop early. */
  abort(): void;
  /** Called once all threads have answered; `result`: that of the first. */
  finish(result: JobResult): T;
  /** Gives its memory back, whether it finished or not. */
  release(): void;
}
