import { Worker } from 'node:worker_threads';
import type { PlainSpeed } from '../engine/engine.ts';
import { EngineError } from '../errors.ts';

/** What one thread got done. */
export interface ThreadSpeed {
  readonly gigaMacs: number;
  readonly copyGigabytes: number;
}

/**
 * What plain code gets out of `threads` threads of the processor at once: an int16 dot-product kernel in WebAssembly SIMD on data in the
 * first-level cache, and a copy between two buffers that no cache holds. Takes about twice `seconds`.
 */
export async function processorSpeed(
  threads: number,
  seconds: number,
  signal?: AbortSignal,
): Promise<PlainSpeed> {
  signal?.throwIfAborted();
  const workers = Array.from({ length: threads }, () => startWorker(seconds));
  try {
    const answers = await Promise.all(workers.map((worker) => answerOf(worker, signal)));
    const sum = (key: keyof ThreadSpeed) => answers.reduce((total, answer) => total + answer[key], 0);
    return { gigaMacs: sum('gigaMacs'), copyGigabytes: sum('copyGigabytes') };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function answerOf(worker: Worker, signal: AbortSignal | undefined): Promise<ThreadSpeed> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', (cause) => reject(new EngineError('a thread of the benchmark failed', { cause })));
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** The file beside this one. Node begins no thread with TypeScript, so in a checkout tsx is asked to load it. */
function startWorker(seconds: number): Worker {
  const workerData = { seconds };
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('./processor-speed-worker.js', import.meta.url), { workerData });
  const { href } = new URL('./processor-speed-worker.ts', import.meta.url);
  const code = `import('tsx/esm/api').then((tsx) => { tsx.register(); return import(${JSON.stringify(href)}); });`;
  return new Worker(code, { eval: true, workerData });
}
