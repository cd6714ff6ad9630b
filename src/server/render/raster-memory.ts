/** Bytes of what is kept at most: 20 tiles of 256 pixels. */
const MAX_BYTES = 4 * 2 ** 20;
/** Larger rasters come seldom, and get new memory. */
const MAX_LENGTH = 2 ** 20;

/**
 * Memory of rasters, used again. Memory outside the JavaScript heap makes V8 collect all garbage every few dozen tiles: a fifth of the time that a
 * tile takes.
 */
export class RasterMemory {
  readonly #shared: boolean;
  readonly #free: Uint8Array[] = [];
  #bytes = 0;

  /** `shared`: other threads may have it too. */
  constructor(shared = false) {
    this.#shared = shared;
  }

  /** So many bytes, with anything in them; undefined for more than a megabyte. */
  take(length: number): Uint8Array | undefined {
    if (length > MAX_LENGTH) return undefined;
    const at = this.#free.findLastIndex((memory) => memory.length === length);
    if (at < 0) return new Uint8Array(this.#shared ? new SharedArrayBuffer(length) : new ArrayBuffer(length));
    this.#bytes -= length;
    return this.#free.splice(at, 1)[0]!;
  }

  /** Takes back what nobody reads or writes any more. What is unused for longest goes for it, if need be. */
  give(memory: Uint8Array | undefined): void {
    if (memory === undefined) return;
    this.#free.push(memory);
    this.#bytes += memory.length;
    while (this.#bytes > MAX_BYTES) this.#bytes -= this.#free.shift()!.length;
  }
}
