import type { ColorSpace } from '../../color-space.ts';
import type { Raster } from '../../image/raster.ts';
import type { RenderQuery } from '../../pixels/render.ts';

/** What a picture costs to render, before anything is read. */
export interface Estimate {
  /** Memory that the answer needs at once, outside the caches, in bytes. */
  readonly bytes: number;
  /** Milliseconds of one core, roughly; the queue learns how far off the guess is on this machine. */
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
  /** What it keeps in memory while it is open, in bytes, beside what caches keep of it. */
  readonly heldBytes: number;
  /** SHA-256, hex, of everything that its pixels depend on: equal on every machine. */
  readonly identity: string;
  /** Names it in caches and stores, in hex. For another file may have the same identity, where that is made of checksums: made for it by a stranger. */
  readonly cacheName: string;
  /** What an ImageInfo tells besides. */
  readonly facts: Readonly<Record<string, string | number>>;
  /** Without what `prepare` does. */
  estimate(query: RenderQuery): Estimate;
  /** What `prepare` takes, if there is any of it to do. */
  preparing?(query: RenderQuery): Estimate;
  /**
   * Does the work that all queries of this picture share, such as decoding its file, and caches the result; `render` repeats it where the cache has dropped it. Rejects like `render`, and with Problem 503 where the server has no time for it.
   */
  prepare?(query: RenderQuery, signal: AbortSignal): Promise<void>;
  /**
   * Pixels of a query, 8 bits; others may have the same ones, so nobody writes to them. `into`: memory for 3 channels that they may take instead
   * of new memory; it may be written to even after a call has failed. Rejects with PictureChanged, LiifError, or the signal's reason.
   */
  render(query: RenderQuery, signal: AbortSignal, into?: Uint8Array): Promise<Raster>;
  /** Bytes offset .. offset+length-1 of the file. Rejects like `render`. */
  getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Names all bytes of the file, damaged ones too, on every machine: 64 hex digits. For those of files that are given as they are; rejects like `render`. */
  fileHash?(signal: AbortSignal): Promise<string>;
  close(): Promise<void>;
}
