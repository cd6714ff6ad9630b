import { memorySource } from '../../src/reader/memory-source.ts';
import type { Source } from '../../src/reader/source.ts';

/** A memory source that notes what is asked of it; `known: false` keeps its size to itself. */
export class CountingSource implements Source {
  readonly name = 'test';
  readonly size: number | undefined;
  readonly asked: [number, number][] = [];
  closed = false;
  readonly #source: Source;

  constructor(bytes: Uint8Array, options: { readonly known?: boolean } = {}) {
    this.#source = memorySource(bytes);
    this.size = options.known === false ? undefined : bytes.length;
  }

  getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    this.asked.push([offset, length]);
    return this.#source.getBytes(offset, length, signal);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
