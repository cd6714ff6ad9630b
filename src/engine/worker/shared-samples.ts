import type { Query } from '../engine.ts';
import type { SampleMemory, SharedSamples } from './worker-engine.ts';

/** Calls with more samples are rare; theirs are sent. */
const MAX_CALL_BYTES = 16 * 2 ** 20;
/** Memory that is kept for the next calls. */
const MAX_KEPT_BYTES = 64 * 2 ** 20;

/**
 * Lends shared memory for samples of 8 bits, in sizes of powers of two from 64 KiB, and uses it again: new
 * memory for every tile would be garbage.
 */
export class SharedSampleMemory implements SampleMemory {
  /** Free buffers; the one used last comes last. */
  readonly #free: SharedArrayBuffer[] = [];
  #bytes = 0;

  take(queries: readonly Query[]): SharedSamples | undefined {
    const lengths = queries.map(({ rows, columns }) => rows.index.length * columns.index.length * 3);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (total > MAX_CALL_BYTES || queries.some(({ depth }) => depth !== 8)) return undefined;
    const buffer = this.#buffer(2 ** Math.max(16, Math.ceil(Math.log2(Math.max(1, total)))));
    let offset = 0;
    const views = lengths.map((length) => {
      const view = new Uint8Array(buffer, offset, length);
      offset += length;
      return view;
    });
    return { buffer, views };
  }

  give({ buffer }: SharedSamples): void {
    this.#free.push(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > MAX_KEPT_BYTES) this.#bytes -= this.#free.shift()!.byteLength;
  }

  #buffer(size: number): SharedArrayBuffer {
    const at = this.#free.findLastIndex(({ byteLength }) => byteLength === size);
    if (at < 0) return new SharedArrayBuffer(size);
    this.#bytes -= size;
    return this.#free.splice(at, 1)[0]!;
  }
}
