import type { Worker } from 'node:worker_threads';
import type { Raster } from '../../image/raster.ts';
import { onWorkerEnd, startWorker } from '../../start-worker.ts';
import { Problem, stopping } from '../problem.ts';
import type { Look } from '../protocols/rendering.ts';
import type { EncodingAnswer, EncodingTask, FromEncodingThread } from './encoding-thread.ts';
import { type EncoderQuality, imageBytes } from './image-bytes.ts';
import { RasterMemory } from './raster-memory.ts';

export interface EncodingOptions {
  /** Threads that hand images to their encoders; 0: the calling thread does. */
  readonly threads: number;
  readonly quality: EncoderQuality;
  /** Hears why a thread has ended unexpectedly. */
  readonly onDied?: (reason: unknown) => void;
  /** Time until a thread that died is replaced, default 2 s. */
  readonly pauseMs?: number;
}

/**
 * Encodes rasters as images. libvips always encodes on threads of its own, but describing an image to it
 * takes a quarter of a millisecond, the largest part of a tile's cost to the event loop. Threads of this
 * class take that over. The first image starts them; until they are ready, and for large images, the calling
 * thread does it.
 */
export class Encoding {
  readonly #options: EncodingOptions;
  readonly #threads = new Set<EncodingThread>();
  /** Where rasters should lie, so that they can be encoded without a copy. */
  readonly memory: RasterMemory;
  #startAfter = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: EncodingOptions) {
    this.#options = options;
    this.memory = new RasterMemory(options.threads > 0);
  }

  /** Threads that can take images now. */
  get ready(): number {
    return [...this.#threads].filter(({ ready }) => ready).length;
  }

  /**
   * The bytes of an image. `memory`: of `this.memory`, of the raster's length, which is overwritten and which
   * nobody else uses until the promise settles; the raster may lie in it. Rejects with Problem when the
   * server is stopping or a thread has died, with Error where the encoder refuses.
   */
  async encode(raster: Raster, look: Look, memory: Uint8Array | undefined): Promise<Buffer> {
    if (this.#closed) throw stopping();
    const thread = this.#thread();
    if (thread === undefined) return imageBytes(raster, look, this.#options.quality);
    const { length } = raster.data;
    const lent = memory?.length === length ? memory : this.memory.take(length);
    if (lent === undefined) return imageBytes(raster, look, this.#options.quality);
    if (raster.data !== lent) lent.set(raster.data);
    const image = await thread.encode({ ...raster, data: lent }, look);
    // After a failure the memory is not used again: the thread may still write to it.
    if (lent !== memory) this.memory.give(lent);
    return image;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#threads].map((thread) => thread.close()));
  }

  /** The ready thread with the fewest tasks. Starts threads that are missing. */
  #thread(): EncodingThread | undefined {
    if (this.#threads.size < this.#options.threads && performance.now() >= this.#startAfter) this.#start();
    let best: EncodingThread | undefined;
    for (const thread of this.#threads)
      if (thread.ready && (best === undefined || thread.tasks < best.tasks)) best = thread;
    return best;
  }

  #start(): void {
    const thread = new EncodingThread(this.#options.quality, (reason) => {
      this.#threads.delete(thread);
      if (this.#closed) return;
      this.#startAfter = performance.now() + (this.#options.pauseMs ?? 2000);
      this.#options.onDied?.(reason);
    });
    this.#threads.add(thread);
  }
}

const REPLACED = 'The image encoder has failed and is being replaced; try again.';

interface Pending {
  readonly samples: Uint8Array;
  readonly resolve: (image: Buffer) => void;
  readonly reject: (reason: unknown) => void;
}

class EncodingThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  /** Tasks of this turn of the event loop, sent in one message. */
  #tasks: EncodingTask[] = [];
  #last = 0;
  #closed = false;
  ready = false;

  constructor(quality: EncoderQuality, onExit: (reason: unknown) => void) {
    const { jpegQuality, webpQuality, avifQuality } = quality;
    this.#worker = startWorker(new URL('./encoding-thread', import.meta.url), {
      workerData: { jpegQuality, webpQuality, avifQuality } satisfies EncoderQuality,
    });
    this.#worker.unref();
    onWorkerEnd(this.#worker, (reason) => {
      const problem = this.#closed
        ? stopping()
        : new Problem(503, 'encoder-failed', REPLACED, { retryAfter: 1 });
      for (const { reject } of this.#pending.values()) reject(problem);
      this.#pending.clear();
      onExit(reason);
    });
    this.#worker.on('message', (message: FromEncodingThread) => {
      if (message === 'ready') this.ready = true;
      else for (const answer of message) this.#settle(answer);
    });
  }

  /** Tasks without an answer. */
  get tasks(): number {
    return this.#pending.size;
  }

  /** The raster lies in shared memory. Rejects as `Encoding.encode` does. */
  encode(raster: Raster & { readonly data: Uint8Array }, look: Look): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      this.#pending.set(id, { samples: raster.data, resolve, reject });
      const { frame, mirror, rotation, color, format } = look;
      const bare: Look = { ...(frame && { frame }), mirror, rotation, color, format };
      if (this.#tasks.push({ id, raster, look: bare }) > 1) return;
      setImmediate(() => {
        this.#worker.postMessage(this.#tasks);
        this.#tasks = [];
      });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker.terminate();
  }

  #settle(answer: EncodingAnswer): void {
    const { samples, resolve, reject } = this.#pending.get(answer.id)!;
    this.#pending.delete(answer.id);
    if ('error' in answer) reject(new Error(answer.error));
    else if ('bytes' in answer) resolve(Buffer.from(answer.bytes.buffer));
    else {
      const image = Buffer.allocUnsafeSlow(answer.length);
      image.set(samples.subarray(0, answer.length));
      resolve(image);
    }
  }
}
