import { compileKernels } from '../wasm/browser-kernels.ts';
import type { WasmHost } from '../wasm/host.ts';
import { startLocalThread } from '../wasm/local-thread.ts';
import { serveThread, type ToThread } from '../wasm/thread.ts';
import { openWasmEngine } from '../wasm/wasm-engine.ts';
import type { ToWorker } from './messages.ts';
import { serveEngine } from './serve-engine.ts';

/** An engine of this worker alone. */
const alone: WasmHost = {
  defaultThreads: 0,
  compile: compileKernels,
  startLocalThread,
  startThread() {
    throw new Error('a worker starts no threads');
  },
};

// One script for both kinds of worker, so that pages load one: threads of an engine get a memory to share, engines of their own get a model.
let handle: ((message: never) => void) | undefined;
addEventListener('message', ({ data }: MessageEvent<ToThread | ToWorker>) => {
  handle ??=
    'memory' in data
      ? serveThread((message, transfer) => postMessage(message, { transfer }))
      : serveEngine(
          (model) => openWasmEngine(model, { host: alone }),
          (message, transfer) => postMessage(message, { transfer }),
        );
  handle(data as never);
});
