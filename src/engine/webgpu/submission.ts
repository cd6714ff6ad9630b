import { EngineError } from '../../errors.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { OpenDevice } from './device.ts';

/** Commands being recorded, with the memory they need until they have been submitted. */
export class Submission {
  readonly encoder: GPUCommandEncoder;
  readonly #queue: GPUQueue;
  readonly #pool: BufferPool;
  #buffers: GPUBuffer[] = [];
  readonly #kept = new Set<GPUBuffer>();
  /** Of `#buffers`, those that a later command may have. */
  #idle: GPUBuffer[] = [];

  constructor(device: GPUDevice, pool: BufferPool) {
    this.encoder = device.createCommandEncoder();
    this.#queue = device.queue;
    this.#pool = pool;
  }

  /** Memory for this submission with these contents, one after the other. They are written before all of its commands, so it is none that a command may have. */
  upload(...parts: readonly (Int16Array | Int32Array)[]): GPUBuffer {
    const buffer = this.#pool.take(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
    this.#buffers.push(buffer);
    let offset = 0;
    for (const part of parts) {
      this.#queue.writeBuffer(buffer, offset, part.buffer as ArrayBuffer, part.byteOffset, part.byteLength);
      offset += part.byteLength;
    }
    return buffer;
  }

  /** Memory for this submission. */
  take(byteLength: number): GPUBuffer {
    const at = this.#idle.findIndex((buffer) => buffer.size >= byteLength && buffer.size <= 2 * byteLength);
    if (at >= 0) return this.#idle.splice(at, 1)[0]!;
    const buffer = this.#pool.take(byteLength);
    this.#buffers.push(buffer);
    return buffer;
  }

  /** Memory that stays with the caller when all goes well. */
  keep(byteLength: number): GPUBuffer {
    const buffer = this.#pool.take(byteLength);
    this.#buffers.push(buffer);
    this.#kept.add(buffer);
    return buffer;
  }

  /** Commands recorded from now on may use this memory. */
  reuse(buffer: GPUBuffer): void {
    this.#idle.push(buffer);
  }

  /** After it was submitted: the next submission, which comes after it on the device, may have its scratch memory. */
  release(): void {
    this.#idle = [];
    this.#buffers = this.#buffers.filter((buffer) => {
      if (this.#kept.has(buffer) || !this.#pool.isProven(buffer)) return true;
      this.#pool.free(buffer);
      return false;
    });
  }

  /** When it is known whether the device took it. What has not been used before may be invalid if it did not. */
  finish(valid: boolean): void {
    for (const buffer of this.#buffers) {
      if (valid) this.#pool.prove(buffer);
      if (!this.#pool.isProven(buffer)) this.#pool.discard(buffer);
      else if (!valid || !this.#kept.has(buffer)) this.#pool.free(buffer);
    }
    this.#buffers = [];
  }
}

/** Records and submits commands. */
export class Submitter {
  readonly #open: OpenDevice;
  readonly #pool: BufferPool;

  constructor(open: OpenDevice, pool: BufferPool) {
    this.#open = open;
    this.#pool = pool;
  }

  /**
   * Records with `record`, submits, and waits until the device has taken it all. Rejects with EngineError when it is lost or has no memory even after
   * giving back what is kept for reuse.
   */
  async submit<T>(record: (submission: Submission) => T): Promise<T> {
    try {
      return await this.#attempt(record);
    } catch (error) {
      if (!(error instanceof OutOfMemory) || this.#pool.freeBytes === 0) throw error;
      this.#pool.trim();
      return await this.#attempt(record);
    }
  }

  async #attempt<T>(record: (submission: Submission) => T): Promise<T> {
    const { device, unlessLost } = this.#open;
    for (const filter of ['validation', 'internal', 'out-of-memory'] as const) device.pushErrorScope(filter);
    const submission = new Submission(device, this.#pool);
    let result: T;
    let failure: unknown;
    try {
      result = record(submission);
      device.queue.submit([submission.encoder.finish()]);
    } catch (error) {
      failure = error;
    }
    submission.release();
    const scopes = [device.popErrorScope(), device.popErrorScope(), device.popErrorScope()];
    let errors: (GPUError | null)[] = [];
    try {
      errors = await unlessLost(Promise.all(scopes));
    } catch (error) {
      failure ??=
        error instanceof EngineError ? error : new EngineError((error as Error).message, { cause: error });
    }
    const [outOfMemory] = errors;
    if (outOfMemory) failure = new OutOfMemory(`The graphics device has no memory: ${outOfMemory.message}`);
    else failure ??= errors.find((error) => error !== null);
    submission.finish(failure === undefined);
    if (failure === undefined) return result!;
    if (failure instanceof EngineError) throw failure;
    throw new EngineError(`The graphics device refuses: ${(failure as Error).message}`, { cause: failure });
  }
}

class OutOfMemory extends EngineError {}
