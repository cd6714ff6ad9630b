/** Where the bytes of a file come from. Two methods and an optional one; implement it for anything that can answer ranges. */
export interface Source {
  /** For messages: a path or URL as the user gave it. */
  readonly name: string;
  /** Bytes in all, when known; undefined until the first answer of a source that cannot tell before. */
  readonly size: number | undefined;
  /**
   * Bytes offset .. offset+length-1, fewer only where the source ends (none beyond it). Rejects with SourceError when they do not
   * arrive or when the source has changed since it was opened, and with the signal's reason when aborted.
   */
  getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * Rejects as `getBytes` does where the source is seen to have changed since it was opened. For sources that find out without asking anybody far
   * away; absent: bytes that were read are believed until others are asked for.
   */
  expectUnchanged?(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
