/** Most bytes that are kept: 20 tiles of 256 pixels. */
const MAX_BYTES = 4 * 2 ** 20;
/** Larger rasters are rare, and get new memory. */
const MAX_LENGTH = 2 ** 20;

/**
 * Memory for rasters that is used again. New memory outside the JavaScript heap would make V8 collect all
 * garbage every few dozen tiles, which takes a fifth of the time of a tile.
 */
export class RasterMemory {
  readonly #shared: boolean;
  readonly #free: Uint8Array[] = [];
  #bytes = 0;

  /** `shared`: gives SharedArrayBuffers, which other threads can use. */
  constructor(shared = false) {
    this.#shared = shared;
  }

  /** So many bytes with arbitrary contents; undefined for more than MAX_LENGTH. */
  take(length: number): Uint8Array | undefined {
    if (length > MAX_LENGTH) return undefined;
    const at = this.#free.findLastIndex((memory) => memory.length === length);
    if (at < 0) return new Uint8Array(this.#shared ? new SharedArrayBuffer(length) : new ArrayBuffer(length));
    this.#bytes -= length;
    return this.#free.splice(at, 1)[0]!;
  }

  /**
   * Takes back memory that nobody reads or writes any more. Beyond MAX_BYTES, the memory that is unused for
   * longest is dropped.
   */
  give(memory: Uint8Array | undefined): void {
    if (memory === undefined) return;
    this.#free.push(memory);
    this.#bytes += memory.length;
    while (this.#bytes > MAX_BYTES) this.#bytes -= this.#free.shift()!.length;
  }
}
