import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import type { Model } from '../../network/model.ts';
import { onWorkerEnd, startWorker } from '../../start-worker.ts';
import type { Engine } from '../engine.ts';
import type { FromWorker, ToWorker } from '../worker/messages.ts';
import { SharedSampleMemory } from '../worker/shared-samples.ts';
import { type EngineWorker, openWorkerEngine } from '../worker/worker-engine.ts';
import type { GpuThreadData } from './node-gpu-thread.ts';

/**
 * How long `close`, and the end of the process, wait for work on the device. A thread that takes longer ends
 * by itself after `close` has returned; a process that would wait longer is killed.
 */
const PATIENCE_MS = 10_000;

/**
 * The engine of `openNodeWebGpu` in a thread of its own, for servers. While calls are under way, Dawn polls
 * the device in every turn of the event loop and leaves garbage; in this thread that slows nobody down. All
 * cards share the thread. `cpu` codes chunks where that is faster; it is not closed with this engine. Rejects
 * with EngineError if there is no card.
 */
export function openWebGpuApart(model: Model, cpu: Engine): Promise<Engine> {
  return openWorkerEngine(model, {
    name: 'webgpu',
    workers: 1,
    startWorker: () => startGpuThread(cpu.threads),
    samples: new SharedSampleMemory(),
    chunks: cpu,
  });
}

function startGpuThread(cpuThreads: number): EngineWorker {
  const ended = new Int32Array(new SharedArrayBuffer(4));
  const workerData: GpuThreadData = { cpuThreads, ended };
  const worker = startWorker(new URL('./node-gpu-thread', import.meta.url), { workerData });
  let gone = false;
  let ending: Promise<void> | undefined;
  const close = () => worker.postMessage({ kind: 'close' } satisfies ToWorker);
  // At exit Node stops all threads, and Dawn aborts the process if its thread is stopped in the middle of
  // work. So have it end before.
  const beforeExit = () => {
    close();
    if (Atomics.wait(ended, 0, 0, PATIENCE_MS) === 'timed-out') process.kill(process.pid, 'SIGKILL');
  };
  process.once('exit', beforeExit);
  worker.once('exit', () => {
    gone = true;
    process.off('exit', beforeExit);
  });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (callback) => worker.on('message', (message: FromWorker) => callback(message)),
    onFailure: (callback) =>
      onWorkerEnd(worker, (reason) => {
        if (!ending) callback(reason);
      }),
    terminate() {
      if (!gone) ending ??= ofItself(worker, close);
      return ending;
    },
    hold: (busy) => {
      // While somebody waits for its end, a late answer must not let the process exit.
      if (ending) return;
      if (busy) worker.ref();
      else worker.unref();
    },
  };
}

/** Tells the thread to close its engine, and waits until it has ended, or for PATIENCE_MS. */
async function ofItself(worker: Worker, close: () => void): Promise<void> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  worker.ref();
  close();
  await once(worker, 'exit', { signal: patience }).catch(() => {});
  worker.unref();
}
