import { joinBytes } from '../join-bytes.ts';
import type { Source } from './source.ts';

/** Most files show header and index in their first 16 KiB. */
const FIRST_READ = 16_384;

/**
 * A source whose first bytes have been read and are kept: it does not ask for them again, but, where the
 * source can tell, whether it has changed since. Counts the bytes that the source gives.
 */
export class OpenedSource implements Source {
  readonly #source: Source;
  #first: Uint8Array;
  #bytesRead: number;

  private constructor(source: Source, first: Uint8Array) {
    this.#source = source;
    this.#first = first;
    this.#bytesRead = first.length;
  }

  /**
   * Reads the first 16 KiB, or what the source says, or all where there is less. Rejects as `getBytes` of the
   * source does.
   */
  static async open(source: Source, signal?: AbortSignal): Promise<OpenedSource> {
    return new OpenedSource(source, await source.getBytes(0, source.firstRead ?? FIRST_READ, signal));
  }

  /** The bytes read on opening; none after closing. */
  get first(): Uint8Array {
    return this.#first;
  }

  get name(): string {
    return this.#source.name;
  }

  get size(): number | undefined {
    return this.#source.size;
  }

  /** Bytes that the source has given so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** As `Source.getBytes`; the result may share memory with other results. */
  async getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const { size = offset + length } = this.#source;
    const wanted = Math.min(length, size - offset);
    const known = this.#first.subarray(offset, offset + length);
    if (known.length === 0) return this.#ask(offset, length, signal);
    if (known.length === wanted) {
      await this.#source.expectUnchanged?.(signal);
      return known;
    }
    const rest = await this.#ask(offset + known.length, wanted - known.length, signal);
    return joinBytes([known, rest]);
  }

  close(): Promise<void> {
    this.#first = new Uint8Array();
    return this.#source.close();
  }

  async #ask(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const bytes = await this.#source.getBytes(offset, length, signal);
    this.#bytesRead += bytes.length;
    return bytes;
  }
}
