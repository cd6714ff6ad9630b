import { EngineError, messageOf } from '../../errors.ts';

/**
 * A Web Worker as engines use workers. `start` has `new Worker(new URL('…', import.meta.url))` written out,
 * since bundlers look for that. Throws EngineError if the page may not start it.
 */
export function webWorker<To, From>(start: () => Worker) {
  let worker: Worker;
  try {
    worker = start();
  } catch (cause) {
    throw new EngineError(messageOf(cause), { cause });
  }
  let failure: Error | undefined;
  let failed = (reason: Error) => {
    failure = reason;
  };
  worker.onerror = (event) => failed(new Error(event.message || 'its script cannot be loaded'));
  return {
    post: (message: To, transfer: Transferable[] = []) => worker.postMessage(message, transfer),
    onMessage(callback: (message: From) => void) {
      worker.onmessage = ({ data }: MessageEvent<From>) => callback(data);
    },
    onFailure(callback: (reason: unknown) => void) {
      // It may have failed already.
      if (failure) callback(failure);
      failed = callback;
    },
    terminate: async () => worker.terminate(),
  };
}
