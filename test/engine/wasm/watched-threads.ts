import type { WasmHost } from '../../../src/engine/wasm/threads/host.ts';
import { nodeHost } from '../../../src/engine/wasm/threads/node-host.ts';
import type { ToThread } from '../../../src/engine/wasm/threads/thread.ts';

/** Threads of Node, and what is posted to them. */
export function watchedThreads(onPost: (message: ToThread) => void): WasmHost {
  return {
    ...nodeHost,
    startThread() {
      const thread = nodeHost.startThread();
      return {
        ...thread,
        post(message, transfer) {
          onPost(message);
          thread.post(message, transfer);
        },
      };
    },
  };
}
