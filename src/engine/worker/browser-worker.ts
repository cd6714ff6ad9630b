import { compileKernels } from '../wasm/browser-kernels.ts';
import type { WasmHost } from '../wasm/host.ts';
import { startLocalThread } from '../wasm/local-thread.ts';
import { openWasmEngine } from '../wasm/wasm-engine.ts';
import { serveEngine } from './serve-engine.ts';

/** They come while the page still waits for the weights. */
const kernels = compileKernels(false);
// The engine hears of it.
kernels.catch(() => {});

/** An engine of this worker alone. */
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
