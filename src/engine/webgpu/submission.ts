import { EngineError } from '../../errors.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { OpenDevice } from './device.ts';

/** Commands that are being recorded, and their memory. */
export class Submission {
  readonly encoder: GPUCommandEncoder;
  readonly #queue: GPUQueue;
  readonly #pool: BufferPool;
  #buffers: GPUBuffer[] = [];
  readonly #kept = new Set<GPUBuffer>();
  /** Those of `#buffers` that later commands of this submission may use. */
  #idle: GPUBuffer[] = [];

  constructor(device: GPUDevice, pool: BufferPool) {
    this.encoder = device.createCommandEncoder();
    this.#queue = device.queue;
    this.#pool = pool;
  }

  /**
   * Memory for this submission with these contents, one after the other. The device writes them before the
   * first command, so it is never memory that a command has used.
   */
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

  /** Scratch memory for this submission. */
  take(byteLength: number): GPUBuffer {
    const at = this.#idle.findIndex((buffer) => buffer.size >= byteLength && buffer.size <= 2 * byteLength);
    if (at >= 0) return this.#idle.splice(at, 1)[0]!;
    const buffer = this.#pool.take(byteLength);
    this.#buffers.push(buffer);
    return buffer;
  }

  /** Memory that belongs to the caller if the submission succeeds. */
  keep(byteLength: number): GPUBuffer {
    const buffer = this.#pool.take(byteLength);
    this.#buffers.push(buffer);
    this.#kept.add(buffer);
    return buffer;
  }

  /** Lets commands that are recorded from now on use this memory. */
  reuse(buffer: GPUBuffer): void {
    this.#idle.push(buffer);
  }

  /**
   * To be called after submitting. The next submission, which comes after it on the device, may use its
   * scratch memory.
   */
  release(): void {
    this.#idle = [];
    this.#buffers = this.#buffers.filter((buffer) => {
      if (this.#kept.has(buffer) || !this.#pool.isProven(buffer)) return true;
      this.#pool.free(buffer);
      return false;
    });
  }

  /**
   * To be called when it is known whether the device has accepted the submission. If it has not, buffers that
   * are not proven may be invalid.
   */
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
   * Records with `record`, submits, and waits until the device has accepted all of it. Rejects with
   * EngineError if the device is lost, or has no memory even after memory that was kept for reuse has been
   * given back.
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
