import { webWorker } from '../../worker/web-worker.ts';
import { compileKernels } from '../browser-kernels.ts';
import type { Thread, WasmHost } from './host.ts';
import type { FromThread, ToThread } from './thread.ts';

const MAX_THREADS = 8;

/**
 * The host in browsers: kernels are fetched from beside this file, threads are Web Workers. Memory is shared
 * only in pages that are cross-origin isolated.
 */
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

/**
 * `browserHost`, whose kernels and first `threads` threads are being loaded already. `endUnused` ends threads
 * that nobody has started.
 */
export function startedHost(threads: number): WasmHost & { endUnused(): void } {
  const kernels = browserHost.compile(true);
  // A failure is handled where the kernels are asked for.
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
