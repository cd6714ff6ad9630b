import { EngineError } from '../../errors.ts';

/** Rounds a size up, in steps of an eighth to a quarter of it, so that buffers fit again. */
function sizeClass(byteLength: number): number {
  const step = Math.max(4096, 2 ** (Math.floor(Math.log2(Math.max(1, byteLength))) - 2));
  return Math.ceil(byteLength / step) * step;
}

/** GPUBufferUsage, which Node does not have as a global: COPY_SRC, COPY_DST, UNIFORM, STORAGE. */
const USAGE = 4 | 8 | 64 | 128;

export interface BufferPoolOptions {
  /** Bound of all memory, in bytes. */
  readonly maxBytes: number;
  /** Bound of memory that is kept for reuse. */
  readonly maxFreeBytes: number;
}

/**
 * Buffers on the device, counted and used again. A buffer may be freed as soon as the work that uses it is
 * submitted: the device runs submissions in order, so the next user's work comes after.
 */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #options: BufferPoolOptions;
  /** Least recently freed first. */
  #free: GPUBuffer[] = [];
  #freeBytes = 0;
  /** All buffers that are not destroyed. */
  readonly #buffers = new Set<GPUBuffer>();
  /** Those of them that are known to be valid: the device had memory for them. */
  readonly #proven = new WeakSet<GPUBuffer>();
  #bytes = 0;
  #destroyed = false;

  constructor(device: GPUDevice, options: BufferPoolOptions) {
    this.#device = device;
    this.#options = options;
  }

  /** Memory on the device, in use or kept for reuse. */
  get bytes(): number {
    return this.#bytes;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /**
   * A buffer of at least this size, with arbitrary contents. Throws EngineError beyond `maxBytes`. If the
   * device has no memory, only its error scope tells.
   */
  take(byteLength: number): GPUBuffer {
    if (this.#destroyed) throw new EngineError('the engine is closed');
    const size = Math.max(byteLength, Math.min(sizeClass(byteLength), this.#device.limits.maxBufferSize));
    const at = this.#free.findIndex((buffer) => buffer.size === size);
    if (at >= 0) {
      const [buffer] = this.#free.splice(at, 1);
      this.#freeBytes -= size;
      return buffer!;
    }
    if (this.#bytes + size > this.#options.maxBytes) this.trim();
    if (this.#bytes + size > this.#options.maxBytes)
      throw new EngineError(
        `${byteLength} more bytes would take the graphics memory beyond ${this.#options.maxBytes}`,
      );
    const buffer = this.#device.createBuffer({ size, usage: USAGE });
    this.#buffers.add(buffer);
    this.#bytes += size;
    return buffer;
  }

  free(buffer: GPUBuffer): void {
    if (!this.#buffers.has(buffer)) return;
    this.#free.push(buffer);
    this.#freeBytes += buffer.size;
    while (this.#freeBytes > this.#options.maxFreeBytes) this.#destroy(this.#free.shift()!);
  }

  /** Whether the buffer is known to be valid. */
  isProven(buffer: GPUBuffer): boolean {
    return this.#proven.has(buffer);
  }

  /** Notes that the device has accepted work with this buffer: it is valid. */
  prove(buffer: GPUBuffer): void {
    this.#proven.add(buffer);
  }

  /** Destroys a buffer in use, for one that may be invalid. */
  discard(buffer: GPUBuffer): void {
    if (!this.#buffers.delete(buffer)) return;
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /** Destroys all buffers that are not in use. */
  trim(): void {
    for (const buffer of this.#free.splice(0)) this.#destroy(buffer);
  }

  /** Destroys all buffers, those in use too. */
  destroy(): void {
    this.#destroyed = true;
    this.trim();
    for (const buffer of this.#buffers) this.discard(buffer);
  }

  #destroy(buffer: GPUBuffer): void {
    this.#freeBytes -= buffer.size;
    this.discard(buffer);
  }
}
