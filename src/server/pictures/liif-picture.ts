import { createHash } from 'node:crypto';
import type { ColorSpace } from '../../color-space.ts';
import { modelHash } from '../../container/header.ts';
import type { FeatureMap, Rect } from '../../engine/engine.ts';
import { SourceError, UnsupportedError } from '../../errors.ts';
import { LatentStore } from '../../features/latents.ts';
import type { Lease, LeasedCache } from '../../features/leased-cache.ts';
import { isReduction, planSampling, type SamplingPlan } from '../../head/query.ts';
import { channelsOf, type Raster } from '../../image/raster.ts';
import { largestBlock, type RenderPicture, type RenderQuery, renderPiece } from '../../pixels/render.ts';
import { sitePixels } from '../../pixels/site-pixels.ts';
import { openReader, type Reader } from '../../reader/reader.ts';
import type { Source } from '../../reader/source.ts';
import type { RunningEngine } from '../engines/engine-host.ts';
import { PictureChanged } from '../problem.ts';
import { BAND_ROWS, decodingCost, REDUCED_PIECE } from './liif-cost.ts';
import type { Estimate, ServedPicture } from './picture.ts';
import { HASHED_PIECE } from './whole-file.ts';

/**
 * Sites on the side of a block of features, the unit that is computed, cached and shared; fewer where a model has so many hidden units that such a block
 * would take too much memory. 256 is one native tile: blocks of 512 take 18 % less arithmetic for the same area, but a first tile has to wait for
 * more than three times as much.
 */
const BLOCK_SITES = 256;
/** Most chunks of a file. An open file keeps 12 bytes for each, and as many files may be open as requests wait. By default a chunk has 512 pixels a side. */
export const MAX_SERVED_CHUNKS = 2 ** 18;
/** A request for fewer pixels of a block does not make all of its pixels be computed and kept. */
const MIN_KEPT_PIXELS = 1024;

/** Bytes behind an address. */
export interface RemoteSource extends Source {
  /** The ETag or the time of the file, as its server gave it with the first bytes; undefined until then, and where the server gives neither. */
  readonly validator: string | undefined;
}

/** What a `ChunkIndex` keeps of each chunk. */
const INDEXED_CHUNK_BYTES = 12;

/**
 * Opens a .liif; the picture closes the source. `id` is part of the names that caches know the picture by, so that they never give what they keep to another file.
 * `running` gives the engine for a model, by its hash. Rejects with FormatError, UnsupportedError, SourceError or PictureChanged, and as `running` does.
 */
export async function openLiifPicture(
  source: Source | RemoteSource,
  id: string,
  running: (hash: string) => Promise<RunningEngine>,
  signal?: AbortSignal,
): Promise<ServedPicture> {
  try {
    const limits = { chunks: MAX_SERVED_CHUNKS };
    const reader = await openReader(source, { limits, ...(signal && { signal }) });
    const needed = modelHash(reader.header);
    const options = await running(needed);
    const { model } = options.engine;
    if (needed !== model.hash)
      throw new UnsupportedError(
        `${source.name} needs model ${needed}, which this server does not have; name its file with --model FILE`,
      );
    // Header and index hold the CRC of every chunk, and the model's hash. Pixels depend on nothing else, unless somebody forges a chunk to a CRC.
    const identity = createHash('sha256')
      .update('liif\n')
      .update(await reader.source.getBytes(0, reader.prefixLength, signal))
      .digest('hex');
    const validator = 'validator' in source ? (source.validator ?? '') : undefined;
    return new LiifPicture(reader, id, identity, options, validator);
  } catch (error) {
    await source.close();
    throw changedOr(error);
  }
}

class LiifPicture implements ServedPicture {
  readonly kind = 'liif';
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly alpha: boolean;
  readonly colorSpace?: ColorSpace;
  readonly bytes: number;
  readonly heldBytes: number;
  readonly identity: string;
  readonly cacheName: string;
  readonly facts: Readonly<Record<string, string | number>>;
  readonly #reader: Reader;
  readonly #latents: LatentStore;
  readonly #options: RunningEngine;
  readonly #picture: RenderPicture;
  readonly #blockSide: number;
  /** Of a remote file; undefined for a local one. */
  readonly #validator: string | undefined;
  #fileHash: Promise<string> | undefined;

  constructor(
    reader: Reader,
    id: string,
    identity: string,
    options: RunningEngine,
    validator: string | undefined,
  ) {
    this.cacheName = createHash('sha256').update(`${identity}\n${id}`).digest('hex');
    this.#validator = validator;
    const { header } = reader;
    this.#reader = reader;
    this.#options = options;
    this.#blockSide = Math.min(BLOCK_SITES, largestBlock(options.engine.model.head.hidden));
    this.#latents = new LatentStore(reader, options.engine, options.chunks, this.cacheName);
    this.identity = identity;
    this.width = header.width;
    this.height = header.height;
    this.channels = header.channels;
    this.alpha = header.alpha;
    if (header.colorSpace) this.colorSpace = header.colorSpace;
    this.bytes = reader.fileLength;
    this.heldBytes = reader.entries.length * INDEXED_CHUNK_BYTES;
    this.facts = {
      ...(header.colorSpace && { colorSpace: header.colorSpace }),
      quality: header.quality,
      levels: header.levels,
      overviewFactor: header.overviewFactor,
      model: modelHash(header),
      encoder: header.encoder,
    };
    this.#picture = {
      width: header.width,
      height: header.height,
      levels: header.levels,
      overviewFactor: header.overviewFactor,
      channels: header.channels,
      alpha: header.alpha,
      sites: (level) => this.#latents.sites(level),
      features: (...window) => this.#features(...window),
      ...(options.pixels && { sitePixels: (...block) => this.#sitePixels(options.pixels!, ...block) }),
    };
  }

  estimate(query: RenderQuery): Estimate {
    const { engine, features, pixels } = this.#options;
    const plan = this.#plan(query);
    const { level } = plan;
    return decodingCost(query, {
      engine,
      plan,
      sites: this.#latents.sites(level),
      planes: this.alpha ? 2 : 1,
      blockSide: this.#blockSide,
      hasFeatures: (plane, corner) => features.has(this.#key(level, plane, corner)),
      hasPixels: (plane, corner) => pixels?.has(this.#key(level, plane, corner)) ?? false,
    });
  }

  async render(query: RenderQuery, signal: AbortSignal, into?: Uint8Array): Promise<Raster> {
    const { engine } = this.#options;
    const reduced = isReduction(this.#plan(query));
    const rows = reduced ? REDUCED_PIECE : BAND_ROWS;
    const columns = reduced ? REDUCED_PIECE : query.width;
    const blocks = { size: this.#blockSide, fitted: false };
    const render = (piece: Rect, memory?: Uint8Array) =>
      renderPiece(this.#picture, engine, query, piece, blocks, signal, memory);
    try {
      if (query.height <= rows && query.width <= columns)
        return await render({ top: 0, left: 0, height: query.height, width: query.width }, into);
      const channels = channelsOf(this);
      const data = new Uint8Array(query.width * query.height * channels);
      for (let top = 0; top < query.height; top += rows) {
        for (let left = 0; left < query.width; left += columns) {
          signal.throwIfAborted();
          const height = Math.min(rows, query.height - top);
          const width = Math.min(columns, query.width - left);
          const piece = await render({ top, left, height, width });
          for (let row = 0; row < height; row++) {
            const from = row * width * channels;
            data.set(
              piece.data.subarray(from, from + width * channels),
              ((top + row) * query.width + left) * channels,
            );
          }
        }
      }
      return { width: query.width, height: query.height, channels, data };
    } catch (error) {
      throw changedOr(error);
    }
  }

  async getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#reader.source.getBytes(offset, length, signal);
    } catch (error) {
      throw changedOr(error);
    }
  }

  /** Hashes the file once, and to its end even if the caller gives up. */
  async fileHash(signal: AbortSignal): Promise<string> {
    this.#fileHash ??= this.#hashOfFile().catch((error: unknown) => {
      this.#fileHash = undefined;
      throw error;
    });
    const hash = await this.#fileHash;
    signal.throwIfAborted();
    return hash;
  }

  async #hashOfFile(): Promise<string> {
    const hash = createHash('sha256');
    // A remote file is not fetched whole for this: its server's validator tells one file from the next.
    if (this.#validator !== undefined)
      return hash.update(`${this.identity}\n${this.#validator}`).digest('hex');
    for (let at = 0; at < this.bytes; at += HASHED_PIECE)
      hash.update(await this.getBytes(at, Math.min(HASHED_PIECE, this.bytes - at)));
    return hash.digest('hex');
  }

  #key(level: number, plane: number, { top, left }: Pick<Rect, 'top' | 'left'>): string {
    return `${this.cacheName}/${level}/${plane}/${top}/${left}`;
  }

  #plan({ region, width, height }: RenderQuery): SamplingPlan {
    const { levels, overviewFactor } = this.#picture;
    return planSampling(region, width, height, levels, overviewFactor);
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  #features(level: number, plane: number, rect: Rect, signal?: AbortSignal): Promise<Lease<FeatureMap>> {
    const { features } = this.#options;
    const load = (shared: AbortSignal) => this.#latents.features(level, plane, rect, shared);
    return features.lease(this.#key(level, plane, rect), load, signal);
  }

  /** The pixels of a block, if they are kept or so many are wanted that they are worth keeping. */
  #sitePixels(
    pixels: LeasedCache<Raster>,
    level: number,
    plane: number,
    block: Rect,
    wanted: number,
    signal?: AbortSignal,
  ): Promise<Lease<Raster>> | undefined {
    const key = this.#key(level, plane, block);
    if (wanted < MIN_KEPT_PIXELS && !pixels.has(key)) return undefined;
    const { height, width } = this.#latents.sites(level);
    // The window also holds the other sites of the ensemble, although their weight is 0 here.
    const rect = {
      ...block,
      height: Math.min(block.height + 1, height - block.top),
      width: Math.min(block.width + 1, width - block.left),
    };
    const load = async (shared: AbortSignal) => {
      const lease = await this.#features(level, plane, rect, shared);
      try {
        const channels = plane === 1 ? 1 : this.channels;
        return await sitePixels(this.#options.engine, lease.value, block, channels, shared);
      } finally {
        lease.release();
      }
    };
    return pixels.lease(key, load, signal);
  }
}

function changedOr(error: unknown): unknown {
  return error instanceof SourceError && error.code === 'changed'
    ? new PictureChanged('the file has been replaced', { cause: error })
    : error;
}
