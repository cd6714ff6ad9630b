import { onAbort } from '../on-abort.ts';
import type { Source } from './source.ts';

/** Ranges with a smaller gap are fetched as one: the bytes between cost less than a request. */
const MAX_GAP = 4096;
/** Most bytes of joined ranges. */
const MAX_JOINED = 4 * 2 ** 20;
/** Most requests under way at a time: as many as a browser allows for one host. */
const MAX_REQUESTS = 6;

interface Read {
  readonly offset: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (reason: unknown) => void;
  /** Stops listening to `signal`. */
  readonly forget: () => void;
  group?: Group;
}

interface Group {
  readonly reads: Read[];
  readonly controller: AbortController;
  end: number;
  /** Reads whose callers still wait. */
  waiting: number;
}

/**
 * Joins reads of one source: reads that are asked for in the same turn of the event loop and lie near each
 * other become one request. The number of requests under way is bounded. A request is aborted when the last
 * of its callers gives up.
 */
export class CoalescedReads {
  readonly #source: Source;
  #asked: Read[] = [];
  readonly #queue: Group[] = [];
  #running = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** As `Source.getBytes`; the result may share memory with other results. */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const forget = onAbort(signal, () => {
        reject(signal?.reason);
        if (read.group && --read.group.waiting === 0) read.group.controller.abort(signal?.reason);
      });
      const read: Read = { offset, end: offset + length, signal, resolve, reject, forget };
      this.#asked.push(read);
      if (this.#asked.length === 1) queueMicrotask(() => this.#gather());
    });
  }

  #gather(): void {
    const reads = this.#asked.filter(({ signal }) => !signal?.aborted).sort((a, b) => a.offset - b.offset);
    this.#asked = [];
    let group: Group | undefined;
    for (const read of reads) {
      if (
        group === undefined ||
        read.offset - group.end > MAX_GAP ||
        read.end - group.reads[0]!.offset > MAX_JOINED
      ) {
        group = { reads: [], controller: new AbortController(), end: read.end, waiting: 0 };
        this.#queue.push(group);
      }
      group.reads.push(read);
      group.end = Math.max(group.end, read.end);
      group.waiting++;
      read.group = group;
    }
    this.#start();
  }

  #start(): void {
    while (this.#running < MAX_REQUESTS && this.#queue.length > 0) {
      this.#running++;
      void this.#fetch(this.#queue.shift()!);
    }
  }

  async #fetch({ reads, controller, end }: Group): Promise<void> {
    const start = reads[0]!.offset;
    try {
      const bytes = await this.#source.getBytes(start, end - start, controller.signal);
      for (const read of reads) read.resolve(bytes.subarray(read.offset - start, read.end - start));
    } catch (reason) {
      for (const read of reads) read.reject(reason);
    } finally {
      for (const { forget } of reads) forget();
      this.#running--;
      this.#start();
    }
  }
}
