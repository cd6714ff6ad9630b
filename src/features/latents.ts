import { type ChunkId, chunkExtent, chunkNumber, latentExtent } from '../container/chunks.ts';
import type { Engine, Extent, FeatureMap, Patch, Rect } from '../engine/engine.ts';
import { FormatError } from '../errors.ts';
import { maxChunkBytes, symbolCount } from '../network/chunk-size.ts';
import { copyOverlap, latentWindow, scaledExtent } from '../network/window.ts';
import { inParallel } from '../parallel.ts';
import type { Reader } from '../reader/reader.ts';
import { type Lease, LeasedCache } from './leased-cache.ts';

/** A cache of decoded chunks, of one file or of several. */
export function decodedChunks(maxBytes: number): LeasedCache<Int16Array> {
  return new LeasedCache({ maxBytes, sizeOf: (latents) => latents.byteLength });
}

/** Latents of a file. A chunk is read, checked and entropy decoded once, as long as it stays in the cache. */
export class LatentStore {
  readonly #reader: Reader;
  readonly #engine: Engine;
  readonly #cache: LeasedCache<Int16Array>;
  readonly #name: string;

  /**
   * `cache` may be shared with other files; `name` tells this file from them. The store does not close the
   * cache.
   */
  constructor(reader: Reader, engine: Engine, cache: LeasedCache<Int16Array>, name = '') {
    this.#reader = reader;
    this.#engine = engine;
    this.#cache = cache;
    this.#name = name;
  }

  /**
   * Latents of a window of a level and plane, (rect.height, rect.width, latentChannels). `rect` must lie
   * inside the level.
   */
  async read(level: number, plane: number, rect: Rect, signal?: AbortSignal): Promise<Patch> {
    const { header } = this.#reader;
    const size = header.chunkSize;
    const channels = this.#engine.model.latentChannels;
    const data = new Int16Array(rect.height * rect.width * channels);
    const ids: ChunkId[] = [];
    const lastRow = Math.floor((rect.top + rect.height - 1) / size);
    const lastColumn = Math.floor((rect.left + rect.width - 1) / size);
    for (let row = Math.floor(rect.top / size); row <= lastRow; row++) {
      for (let column = Math.floor(rect.left / size); column <= lastColumn; column++) {
        ids.push({ level, plane, row, column });
      }
    }
    await inParallel(ids.length, ids, async (id) => {
      const lease = await this.#chunk(id, signal);
      const from = { top: id.row * size, left: id.column * size, ...chunkExtent(header, id) };
      copyOverlap(lease.value, from, data, rect, channels);
      lease.release();
    });
    return { rect, channels, data };
  }

  /** Sites of a level. */
  sites(level: number): Extent {
    return scaledExtent(latentExtent(this.#reader.header, level), this.#engine.model.latentStride);
  }

  /**
   * P over a window of the sites of a level and plane, which must lie inside the level. The result is not
   * cached.
   */
  async features(level: number, plane: number, sites: Rect, signal?: AbortSignal): Promise<FeatureMap> {
    const { header } = this.#reader;
    const extent = latentExtent(header, level);
    const latents = await this.read(level, plane, latentWindow(this.#engine.model, sites, extent), signal);
    return this.#engine.features(latents, extent, sites, header.quality, signal);
  }

  #chunk(id: ChunkId, signal: AbortSignal | undefined): Promise<Lease<Int16Array>> {
    const key = `${this.#name}/${id.level}/${id.plane}/${id.row}/${id.column}`;
    return this.#cache.lease(key, (shared) => this.#decode(id, shared), signal);
  }

  async #decode(id: ChunkId, signal: AbortSignal): Promise<Int16Array> {
    const { header } = this.#reader;
    const extent = chunkExtent(header, id);
    this.#checkLength(id, extent);
    const bytes = await this.#reader.readChunk(id, signal);
    try {
      return await this.#engine.decodeChunk(bytes, extent, header.quality, signal);
    } catch (error) {
      throw this.#reader.located(id, error);
    }
  }

  /** Checks the limit of spec 2.1 before memory is reserved for the length that a file states. */
  #checkLength(id: ChunkId, extent: Extent): void {
    const { header, entries } = this.#reader;
    const { byteOffset, length } = entries.at(chunkNumber(header, id));
    const maximum = maxChunkBytes(symbolCount(this.#engine.model, extent));
    if (length > maximum)
      throw new FormatError('chunk', byteOffset, `${length} bytes are more than the ${maximum} it can need`);
  }
}
