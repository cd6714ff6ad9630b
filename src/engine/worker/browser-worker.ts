import { compileKernels } from '../wasm/browser-kernels.ts';
import type { WasmHost } from '../wasm/threads/host.ts';
import { startLocalThread } from '../wasm/threads/local-thread.ts';
import { openWasmEngine } from '../wasm/wasm-engine.ts';
import { serveEngine } from './serve-engine.ts';

/** Fetched at once, while the page still waits for the weights. */
const kernels = compileKernels(false);
// A failure is handled where the engine opens.
kernels.catch(() => {});

/** Runs an engine on this worker alone. */
const alone: WasmHost = {
  defaultThreads: 0,
  compile: () => kernels,
  startLocalThread,
  startThread() {
    throw new Error('a worker starts no threads');
  },
};

const handle = serveEngine(
  (model) => openWasmEngine(model, { host: alone }),
  (message, transfer) => postMessage(message, { transfer }),
);
addEventListener('message', ({ data }) => handle(data));
