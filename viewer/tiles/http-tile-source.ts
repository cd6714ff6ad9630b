import { Edition } from './edition.ts';
import { fetchImage } from './fetch-image.ts';
import type { OverviewFirst } from './overview-first.ts';
import type { ServedPicture } from './served-picture.ts';
import { TILE_SIZE, type TileSource } from './tile-source.ts';

/** How tiles are asked for. */
export interface HttpTileOptions {
  /** Root of the server, with a slash at its end. */
  readonly server: string;
  /** `decode` (default), or plain bicubic enlargement to compare it with. */
  readonly method?: 'decode' | 'bicubic';
  /** Replaces the format of the template. png is lossless. */
  readonly format?: 'png' | 'jpg' | 'webp' | 'avif';
  /** Shared by all sources of the picture. Default: an edition of the picture's `version`. */
  readonly edition?: Edition;
  /** Tiles smaller than native wait for it. */
  readonly overview?: OverviewFirst;
}

/** Tiles of a server. */
export class HttpTileSource implements TileSource {
  readonly width: number;
  readonly height: number;
  readonly nativeZoom: number;
  readonly colorSpace?: PredefinedColorSpace;
  readonly alpha: boolean;
  readonly #template: string;
  readonly #options: HttpTileOptions;
  readonly #edition: Edition;

  constructor(picture: ServedPicture, options: HttpTileOptions) {
    this.width = picture.width;
    this.height = picture.height;
    this.nativeZoom = picture.nativeZoom;
    if (picture.colorSpace) this.colorSpace = picture.colorSpace;
    this.alpha = picture.alpha ?? false;
    this.#template = picture.tiles;
    this.#options = options;
    this.#edition = options.edition ?? new Edition(picture.version);
  }

  /** Address of a tile; `size` is 1 to 4 times TILE_SIZE. */
  url(z: number, x: bigint, y: bigint, size: number): string {
    const { server, method, format } = this.#options;
    const ratio = Math.round(size / TILE_SIZE);
    const [path, query = ''] = this.#template.split('?') as [string, string?];
    const dot = path.lastIndexOf('.');
    const named = `${path.slice(0, dot)}${ratio > 1 ? `@${ratio}x` : ''}.${format ?? path.slice(dot + 1)}`;
    const filled = named.replace('{z}', String(z)).replace('{x}', String(x)).replace('{y}', String(y));
    const url = new URL(filled.replace(/^\//, ''), server);
    url.search = query;
    // Up to native scale nothing is enlarged, and both methods give the same pixels.
    if (method === 'bicubic' && z + Math.log2(ratio) > this.nativeZoom)
      url.searchParams.set('method', method);
    return url.href;
  }

  async tile(z: number, x: bigint, y: bigint, size: number, signal: AbortSignal): Promise<Blob> {
    if (z < this.nativeZoom) await this.#options.overview?.settled();
    signal.throwIfAborted();
    return fetchImage(this.url(z, x, y, size), { signal, priority: 'high' }, this.#edition);
  }
}
