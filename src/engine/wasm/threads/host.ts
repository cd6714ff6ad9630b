import type { encoding } from '../jobs/encoding.ts';
import type { FromThread, ToThread } from './thread.ts';

/** A thread that runs `serveThread`. */
export interface Thread {
  post(message: ToThread, transfer?: ArrayBuffer[]): void;
  /** Called once for each message of the thread. */
  onMessage(callback: (message: FromThread) => void): void;
  /** Called if the thread ends without having been told to. */
  onFailure(callback: (reason: unknown) => void): void;
  terminate(): Promise<void>;
  /** Sets whether the thread keeps the process alive. */
  hold(busy: boolean): void;
}

/** What the wasm engine needs of its platform. */
export interface WasmHost {
  /**
   * Compiles all files of kernels that the host has: kernels-shared.wasm or kernels.wasm, and those of
   * encoders.
   */
  compile(shared: boolean): Promise<readonly WebAssembly.Module[]>;
  /** Threads to start by default. 0 where memory cannot be shared: everything runs on the calling thread. */
  readonly defaultThreads: number;
  startThread(): Thread;
  /** The calling thread, which acts as a thread. */
  startLocalThread(): Thread;
  /** `encoding` of encoding.ts. Absent in pages, which do not encode and need not fetch it. */
  readonly encoding?: typeof encoding;
}
