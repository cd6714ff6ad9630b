import { EngineError } from '../../errors.ts';

/** Sizes are rounded up to steps of a quarter of a power of two, so that buffers serve again. */
function sizeClass(byteLength: number): number {
  const step = Math.max(4096, 2 ** (Math.floor(Math.log2(Math.max(1, byteLength))) - 2));
  return Math.ceil(byteLength / step) * step;
}

/** Copied from and to, bound as uniforms and as storage: the bits of GPUBufferUsage, which Node does not have as a global. */
const USAGE = 4 | 8 | 64 | 128;

export interface BufferPoolOptions {
  /** Bound of all memory, in bytes. */
  readonly maxBytes: number;
  /** Bound of what is kept for reuse. */
  readonly maxFreeBytes: number;
}

/**
 * Buffers of all uses on the device, counted and used again. A buffer may be freed as soon as the work that uses it has been submitted: the device
 * runs submissions in order, so whoever gets it next comes after.
 */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #options: BufferPoolOptions;
  /** Least recently freed first. */
  #free: GPUBuffer[] = [];
  #freeBytes = 0;
  /** All that are not destroyed. */
  readonly #buffers = new Set<GPUBuffer>();
  /** Of them, those that the device is known to have memory for. */
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

  /** Contents are arbitrary. Throws EngineError beyond the bound; that the device has no memory shows in its error scope. */
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

  /** Whether the buffer is known to be valid: others may have it as soon as its work is submitted. */
  isProven(buffer: GPUBuffer): boolean {
    return this.#proven.has(buffer);
  }

  /** Work that uses it was taken by the device. */
  prove(buffer: GPUBuffer): void {
    this.#proven.add(buffer);
  }

  /** For buffers that may be invalid. */
  discard(buffer: GPUBuffer): void {
    if (!this.#buffers.delete(buffer)) return;
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /** Gives all that is not in use back to the device. */
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
