import { readFile } from 'node:fs/promises';
import { encodeChunk } from '../../../entropy/chunk.ts';
import { onWorkerEnd, startWorker } from '../../../start-worker.ts';
import { processors } from '../../processors.ts';
import { encoding } from '../jobs/encoding.ts';
import type { Thread, WasmHost } from './host.ts';
import { startLocalThread } from './local-thread.ts';
import type { NodeThreadData } from './node-thread.ts';
import type { FromThread } from './thread.ts';

const compiled = new Map<boolean, Promise<readonly WebAssembly.Module[]>>();

/** The host in Node: kernels from the files beside this one, threads from `worker_threads`. */
export const nodeHost: WasmHost = niceNodeHost(0);

/** The same, with threads of this niceness, 0 to 19, where the system has priorities of threads (Linux). */
export function niceNodeHost(niceness: number): WasmHost {
  return {
    defaultThreads: processors(),
    compile(shared) {
      let modules = compiled.get(shared);
      if (modules === undefined) {
        modules = Promise.all(
          ['kernels', 'gradient-kernels'].map(async (name) => {
            const url = new URL(`../${name}${shared ? '-shared' : ''}.wasm`, import.meta.url);
            return WebAssembly.compile(await readFile(url));
          }),
        );
        modules.catch(() => compiled.delete(shared));
        compiled.set(shared, modules);
      }
      return modules;
    },
    startLocalThread: () => startLocalThread(encodeChunk),
    encoding,
    startThread(): Thread {
      const worker = startWorker(new URL('./node-thread', import.meta.url), {
        workerData: { niceness } satisfies NodeThreadData,
      });
      let ending = false;
      return {
        post: (message, transfer = []) => worker.postMessage(message, transfer),
        onMessage: (callback) => {
          worker.removeAllListeners('message');
          worker.on('message', (message: FromThread) => callback(message));
        },
        onFailure: (callback) =>
          onWorkerEnd(worker, (reason) => {
            if (!ending) callback(reason);
          }),
        async terminate() {
          ending = true;
          await worker.terminate();
        },
        hold: (busy) => {
          // While somebody waits for its end, a late answer must not let the process exit.
          if (ending) return;
          if (busy) worker.ref();
          else worker.unref();
        },
      };
    },
  };
}
