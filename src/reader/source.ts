/**
 * Where the bytes of a file come from. Implement it for anything that can answer ranges.
 *
 * @example
 * const source: Source = {
 *   name: key,
 *   size: undefined,
 *   getBytes: (offset, length) => bucket.read(key, { offset, length }),
 *   async close() {},
 * };
 */
export interface Source {
  /** A path or URL as the user knows it, for messages. */
  readonly name: string;
  /** Bytes in all; undefined as long as the source does not know. */
  readonly size: number | undefined;
  /**
   * Bytes that are read at once on opening; default 16 KiB. More of them save a request where each takes
   * long.
   */
  readonly firstRead?: number;
  /**
   * The bytes offset .. offset+length-1, fewer only where the source ends, and none beyond. Rejects with
   * SourceError when they do not arrive, or when the source has changed since it was opened, and with the
   * signal's reason when aborted.
   */
  getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * Rejects as `getBytes` does where the source has changed since it was opened. Optional, for sources that
   * can tell at no cost, such as local files. Without it, bytes that were read earlier count as valid until
   * others are asked for.
   */
  expectUnchanged?(signal?: AbortSignal): Promise<void>;
  /** Releases what the source holds. Nothing is read afterwards. */
  close(): Promise<void>;
}
