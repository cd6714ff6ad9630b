import type { ChunkId } from './chunks.ts';
import type { ContainerWriter } from './write.ts';

/** Chunks that are finished in any order, and written in that of the file. */
export class OrderedChunks {
  readonly #writer: ContainerWriter;
  readonly #order: readonly ChunkId[];
  /** Chunks that are finished while one before them is not. */
  readonly #waiting = new Map<string, Uint8Array>();
  #next = 0;
  #writing = Promise.resolve();

  /** `order`: all chunks, as the index lists them. */
  constructor(writer: ContainerWriter, order: readonly ChunkId[]) {
    this.#writer = writer;
    this.#order = order;
  }

  /** Resolves when all that could be written by now is. */
  finish(id: ChunkId, bytes: Uint8Array): Promise<void> {
    this.#waiting.set(keyOf(id), bytes);
    this.#writing = this.#writing.then(async () => {
      for (; this.#next < this.#order.length; this.#next++) {
        const key = keyOf(this.#order[this.#next]!);
        const ready = this.#waiting.get(key);
        if (ready === undefined) break;
        this.#waiting.delete(key);
        await this.#writer.appendChunk(ready);
      }
    });
    return this.#writing;
  }
}

function keyOf({ level, plane, row, column }: ChunkId): string {
  return `${level}/${plane}/${row}/${column}`;
}
