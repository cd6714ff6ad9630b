import { readFile } from 'node:fs/promises';
import type { Worker } from 'node:worker_threads';
import type { PlainSpeed } from '../engine/engine.ts';
import { EngineError } from '../errors.ts';
import { onAbort } from '../on-abort.ts';
import { startWorker } from '../start-worker.ts';

/** Data that a thread is started with. */
export interface ThreadTask {
  readonly seconds: number;
  /** The plain kernel. */
  readonly module: WebAssembly.Module;
}

/** Speed of one thread. */
export interface ThreadSpeed {
  readonly gigaMacs: number;
  readonly copyGigabytes: number;
}

/**
 * Speed of plain code on `threads` threads at once: an int16 dot-product kernel in WebAssembly SIMD on data
 * in the first-level cache, and a copy between two buffers of 32 MiB. Takes about twice `seconds`. Rejects
 * with EngineError, and with the signal's reason.
 */
export async function processorSpeed(
  threads: number,
  seconds: number,
  signal?: AbortSignal,
): Promise<PlainSpeed> {
  signal?.throwIfAborted();
  const workerData: ThreadTask = { seconds, module: await compilePlainKernel() };
  const workers = Array.from({ length: threads }, () =>
    startWorker(new URL('./processor-speed-worker', import.meta.url), { workerData }),
  );
  try {
    const answers = await Promise.all(workers.map((worker) => answerOf(worker, signal)));
    const sum = (key: keyof ThreadSpeed) => answers.reduce((total, answer) => total + answer[key], 0);
    return { gigaMacs: sum('gigaMacs'), copyGigabytes: sum('copyGigabytes') };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** The code of `plain-kernel.ts`. */
export async function compilePlainKernel(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(new Uint8Array(await readFile(new URL('./peak.wasm', import.meta.url))));
}

async function answerOf(worker: Worker, signal: AbortSignal | undefined): Promise<ThreadSpeed> {
  let forget = () => {};
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', (cause) => reject(new EngineError('a thread of the benchmark failed', { cause })));
      forget = onAbort(signal, () => reject(signal?.reason));
    });
  } finally {
    forget();
  }
}
