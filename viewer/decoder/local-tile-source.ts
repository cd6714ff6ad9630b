import { onAbort } from '../../src/on-abort.ts';
import { nearest } from '../tiles/nearest.ts';
import type { OverviewFirst } from '../tiles/overview-first.ts';
import { TileError, type TileSource } from '../tiles/tile-source.ts';
import { type DecodedPicture, DecodeError } from './local-decoder.ts';

interface Waiting {
  readonly begin: () => void;
  readonly distance: () => number;
}

/**
 * Tiles that the browser decodes itself. When the decoder has room, the tile that is then nearest to the
 * middle of the map comes next.
 */
export class LocalTileSource implements TileSource {
  readonly width: number;
  readonly height: number;
  readonly nativeZoom: number;
  readonly colorSpace?: PredefinedColorSpace;
  readonly alpha: boolean;
  readonly looksAhead = true;
  readonly #picture: DecodedPicture;
  readonly #overview: OverviewFirst | undefined;
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  /** `overview`: tiles smaller than native wait for it. */
  constructor(picture: DecodedPicture, overview?: OverviewFirst) {
    this.#picture = picture;
    this.#overview = overview;
    this.width = picture.facts.width;
    this.height = picture.facts.height;
    this.nativeZoom = picture.facts.nativeZoom;
    this.alpha = picture.facts.alpha;
    if (picture.facts.colorSpace) this.colorSpace = picture.facts.colorSpace;
  }

  async tile(
    z: number,
    x: bigint,
    y: bigint,
    size: number,
    signal: AbortSignal,
    distance: () => number = () => 0,
  ): Promise<ImageBitmap> {
    if (z < this.nativeZoom) await this.#overview?.settled();
    await this.#turn(signal, distance);
    try {
      return await this.#picture.tile(z, x, y, size, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TileError) throw error;
      const { message, tag, unreachable } = error as DecodeError;
      throw new TileError(unreachable ? 'The server cannot be reached.' : message, {
        cause: error,
        permanent: !(error instanceof DecodeError) || tag === 'FormatError' || tag === 'UnsupportedError',
      });
    } finally {
      this.#running--;
      this.#next();
    }
  }

  /** Resolves when the tile may begin, and counts it as running. Rejects when it is no longer wanted. */
  #turn(signal: AbortSignal, distance: () => number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const forget = onAbort(signal, () => {
        this.#waiting.delete(waiting);
        reject(signal.reason);
      });
      const waiting: Waiting = {
        distance,
        begin: () => {
          forget();
          this.#waiting.delete(waiting);
          this.#running++;
          resolve();
        },
      };
      this.#waiting.add(waiting);
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < this.#picture.parallel && this.#waiting.size > 0)
      nearest(this.#waiting, ({ distance }) => distance())!.begin();
  }
}
