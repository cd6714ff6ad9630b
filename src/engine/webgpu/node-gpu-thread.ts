import { parentPort, workerData } from 'node:worker_threads';
import { EngineError } from '../../errors.ts';
import type { ToWorker } from '../worker/messages.ts';
import { serveEngine } from '../worker/serve-engine.ts';
import { openNodeWebGpu } from './node-gpu.ts';
import type { ChunkCoder } from './webgpu-engine.ts';

export interface GpuThreadData {
  /** Threads of the engine that codes chunks, which runs in the thread that started this one. */
  readonly cpuThreads: number;
  /** One element, shared: becomes 1 when this thread ends. */
  readonly ended: Int32Array;
}

const { cpuThreads, ended } = workerData as GpuThreadData;
const elsewhere = () => Promise.reject(new EngineError('that is computed in another thread'));
const cpu: ChunkCoder = {
  threads: cpuThreads,
  encodeChunk: elsewhere,
  decodeChunk: elsewhere,
  gradient: elsewhere,
  backpropagate: elsewhere,
};

process.once('exit', () => {
  Atomics.store(ended, 0, 1);
  Atomics.notify(ended, 0);
});
const handle = serveEngine(
  (model) => openNodeWebGpu(model, cpu),
  (message, transfer) => parentPort?.postMessage(message, transfer),
  // Then the thread ends when Dawn has finished the work that is under way.
  () => parentPort?.close(),
);
parentPort?.on('message', (message: ToWorker) => handle(message));
// Stopped in the middle of work, the thread would abort the process. So it closes and ends by itself after an
// uncaught error, too; the other side sees its end.
process.on('uncaughtException', (error) => {
  process.emitWarning(error);
  process.exitCode = 1;
  handle({ kind: 'close' });
});
