import type { encoding } from './encoding.ts';
import type { FromThread, ToThread } from './thread.ts';

/** A thread that runs `serveThread`. */
export interface Thread {
  post(message: ToThread, transfer?: ArrayBuffer[]): void;
  /** Called once for each message of the thread. */
  onMessage(callback: (message: FromThread) => void): void;
  /** Called when the thread ends without having been told to. */
  onFailure(callback: (reason: unknown) => void): void;
  terminate(): Promise<void>;
  /** Whether the thread keeps the process alive. */
  hold(busy: boolean): void;
}

/** What the wasm engine needs of its platform. */
export interface WasmHost {
  /** kernels-shared.wasm or kernels.wasm, compiled, and whatever else has kernels. */
  compile(shared: boolean): Promise<readonly WebAssembly.Module[]>;
  /** Threads it would start by itself; 0 where memory cannot be shared: everything then runs on the calling thread. */
  readonly defaultThreads: number;
  startThread(): Thread;
  /** The calling thread in the part of one. */
  startLocalThread(): Thread;
  /** That of `encoding.ts`. Absent in pages, which do not encode and need not fetch it. */
  readonly encoding?: typeof encoding;
}
