import type { ColorSpace } from '../../color-space.ts';
import type { Raster } from '../../image/raster.ts';
import type { RenderQuery } from '../../pixels/render.ts';

/** What rendering costs, estimated before anything is read. */
export interface Estimate {
  /** Peak memory of the answer in bytes, without the caches. */
  readonly bytes: number;
  /** Milliseconds of one core, roughly; `Admission` learns how far off that is on this machine. */
  readonly work: number;
}

/** An opened picture of either kind. */
export interface ServedPicture {
  readonly kind: 'liif' | 'image';
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly alpha: boolean;
  /** Of all pixels that `render` gives; default sRGB. */
  readonly colorSpace?: ColorSpace;
  /** Size of its file. */
  readonly bytes: number;
  /** Memory of the open picture in bytes, without the caches. */
  readonly heldBytes: number;
  /** SHA-256, hex, of everything that its pixels depend on: equal on every machine. */
  readonly identity: string;
  /**
   * Names the picture in caches and stores, in hex. The identity alone is not enough where it rests on
   * checksums: a stranger can make another file with the same ones.
   */
  readonly cacheName: string;
  /** Further members of its ImageInfo. */
  readonly facts: Readonly<Record<string, string | number>>;
  /** Cost of `render`, without that of `prepare`. */
  estimate(query: RenderQuery): Estimate;
  /** Cost of `prepare`; 0 where its result is cached. */
  preparing?(query: RenderQuery): Estimate;
  /**
   * Does the work that queries of this picture share, such as decoding its file, and caches the result;
   * `render` repeats it after the cache has dropped that. Rejects as `render` does, and with Problem 503 if
   * the server has no time for it.
   */
  prepare?(query: RenderQuery, signal: AbortSignal): Promise<void>;
  /**
   * Pixels of a query, of 8 bits. Others may hold the same raster, so nobody writes to it. `into`: memory for
   * 3 channels that the picture may use instead of new memory, and may write to even after the call has
   * failed. Rejects with PictureChanged, LiifError, or the signal's reason.
   */
  render(query: RenderQuery, signal: AbortSignal, into?: Uint8Array): Promise<Raster>;
  /** Bytes offset .. offset+length-1 of the file. Rejects as `render` does. */
  getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * Hash of all bytes of the file, damaged ones too: 64 hex digits, for the ETag of the file itself. Absent:
   * the file itself is not served. Rejects as `render` does.
   */
  fileHash?(signal: AbortSignal): Promise<string>;
  close(): Promise<void>;
}
