import { webWorker } from '../worker/web-worker.ts';
import { compileKernels } from './browser-kernels.ts';
import type { Thread, WasmHost } from './host.ts';
import type { FromThread, ToThread } from './thread.ts';

const MAX_THREADS = 8;

/** Browsers: kernels are fetched from beside this file, threads are Web Workers. Memory is shared only in pages that are cross-origin isolated. */
export const browserHost: WasmHost = {
  defaultThreads: canShareMemory() ? Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1) : 0,
  compile: compileKernels,
  startLocalThread() {
    throw new Error('pages compute in workers');
  },
  startThread(): Thread {
    const start = () => new Worker(new URL('./browser-thread.js', import.meta.url), { type: 'module' });
    return { ...webWorker<ToThread, FromThread>(start), hold() {} };
  },
};

/** The same with kernels and so many threads under way; those that nobody has taken end by `endUnused`. */
export function startedHost(threads: number): WasmHost & { endUnused(): void } {
  const kernels = browserHost.compile(true);
  // Who asks for them hears of it.
  kernels.catch(() => {});
  const started = Array.from({ length: threads }, () => browserHost.startThread());
  return {
    ...browserHost,
    compile: (shared) => (shared ? kernels : browserHost.compile(shared)),
    startThread: () => started.pop() ?? browserHost.startThread(),
    endUnused() {
      for (const thread of started) void thread.terminate();
    },
  };
}

/** Whether workers can compute on one memory here. */
function canShareMemory(): boolean {
  if (globalThis.crossOriginIsolated !== true) return false;
  try {
    return (
      new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer
    );
  } catch {
    return false;
  }
}
