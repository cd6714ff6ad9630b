import type { Worker } from 'node:worker_threads';
import type { Raster } from '../../../image/raster.ts';
import type { RenderQuery } from '../../../pixels/render.ts';
import { startWorker } from '../../../start-worker.ts';
import { Problem, stopping } from '../../problem.ts';
import type { Samples } from './resample.ts';

export interface ResampleTask {
  readonly source: Samples;
  readonly reduction: bigint;
  readonly query: RenderQuery;
}

type Answer = { readonly raster: Raster } | { readonly error: string };

interface Pending {
  readonly task: ResampleTask;
  readonly resolve: (raster: Raster) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal;
}

/**
 * Resamples on threads of its own, so that the event loop stays free. If a thread dies, its task fails and
 * the next task starts a new thread. Pools from npm end a thread to abandon a task; here tasks take
 * milliseconds and threads stay.
 */
export class ResamplePool {
  readonly #size: number;
  readonly #idle: Worker[] = [];
  readonly #workers = new Set<Worker>();
  readonly #waiting: Pending[] = [];
  #closed = false;

  /** `size`: most threads; they start when they are needed. */
  constructor(size: number) {
    this.#size = size;
  }

  /**
   * `resample` of a task, whose samples are transferred to the thread. Rejects with Problem when its thread
   * has died or the server is stopping, or with the signal's reason.
   */
  run(task: ResampleTask, signal: AbortSignal): Promise<Raster> {
    if (this.#closed) return Promise.reject(stopping());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject, signal });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(stopping());
    await Promise.all([...this.#workers].map((worker) => worker.terminate()));
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const { signal, reject } = this.#waiting[0]!;
      if (signal.aborted) {
        this.#waiting.shift();
        reject(signal.reason);
        continue;
      }
      const worker = this.#idle.pop() ?? this.#start();
      if (worker === undefined) return;
      this.#give(worker, this.#waiting.shift()!);
    }
  }

  #give(worker: Worker, { task, resolve, reject }: Pending): void {
    const settle = () => {
      worker.off('message', answered);
      worker.off('exit', died);
    };
    const answered = (answer: Answer) => {
      settle();
      this.#idle.push(worker);
      if ('raster' in answer) resolve(answer.raster);
      else reject(new Error(`resampling failed: ${answer.error}`));
      this.#next();
    };
    const died = () => {
      settle();
      reject(
        new Problem(503, 'resampler-failed', 'A thread that resamples has failed; try again.', {
          retryAfter: 1,
        }),
      );
      this.#next();
    };
    worker.on('message', answered);
    worker.on('exit', died);
    try {
      worker.postMessage(task, [task.source.raster.data.buffer as ArrayBuffer]);
    } catch (cause) {
      // The thread has not received the task.
      settle();
      this.#idle.push(worker);
      reject(cause);
    }
  }

  #start(): Worker | undefined {
    if (this.#workers.size >= this.#size) return undefined;
    const worker = startWorker(new URL('./resample-worker', import.meta.url));
    worker.unref();
    this.#workers.add(worker);
    const forget = () => {
      this.#workers.delete(worker);
      const at = this.#idle.indexOf(worker);
      if (at >= 0) this.#idle.splice(at, 1);
    };
    worker.on('exit', forget);
    worker.on('error', () => {}); // 'exit' follows
    return worker;
  }
}
