import { createHash } from 'node:crypto';
import type { ColorSpace } from '../../color-space.ts';
import { modelHash } from '../../container/header.ts';
import type { Engine, FeatureMap, Rect } from '../../engine/engine.ts';
import { SourceError, UnsupportedError } from '../../errors.ts';
import { LatentStore } from '../../features/latents.ts';
import { type Lease, LeasedCache } from '../../features/leased-cache.ts';
import { gridCount, isReduction, planSampling, type SamplingPlan } from '../../head/query.ts';
import { type Exact, toNumber, toRational } from '../../head/rational.ts';
import { channelsOf, type Raster } from '../../image/raster.ts';
import {
  largestBlock,
  MAX_STRIP_PIXELS,
  type RenderPicture,
  type RenderQuery,
  reducesAtOnce,
  renderPiece,
} from '../../pixels/render.ts';
import { sitePixels } from '../../pixels/site-pixels.ts';
import { openReader, type Reader } from '../../reader/reader.ts';
import type { Source } from '../../reader/source.ts';
import { PictureChanged } from '../problem.ts';
import type { Estimate, ServedPicture } from './picture.ts';
import { HASHED_PIECE } from './whole-file.ts';

/**
 * Sites on the side of a block of features, the unit that is computed, cached and shared; fewer where a model has so many hidden units that such a block
 * would take too much memory. 256 is one native tile: blocks of 512 take 18 % less arithmetic for the same area, but a first tile has to wait for
 * more than three times as much.
 */
const BLOCK_SITES = 256;
/** Blocks of a query up to which it is seen which of them are kept: those of a tile of 1024 pixels at half of a level's scale, color and alpha. */
const MAX_BLOCKS_LOOKED_AT = 128;
/** Rows computed before other requests get their turn. */
const BAND_ROWS = 512;
/** A reduction is computed in squares of so many pixels, which the engine reduces at once: what it leaves to this thread makes all others wait. */
const REDUCED_PIECE = 256;

/**
 * Milliseconds of one core: the way to an image and its encoder, a block of cold features, a sample from warm ones, and what it takes to filter
 * one where the engine does not.
 */
const IMAGE_WORK = 1.5;
const BLOCK_WORK = 100;
const SAMPLE_WORK = 1 / 30_000;
const FILTER_WORK = 1 / 42_000;
/** And to copy or reduce one that is kept. */
const KEPT_WORK = 1 / 300_000;
/** Output pixels beyond its own that a reduction's filter reaches. */
const FILTER_MARGIN = 2;
/** Chunks of a file: it keeps 12 bytes for each while it is open, and as many files may be as there are requests that wait. By default chunks have 512 pixels a side. */
export const MAX_SERVED_CHUNKS = 2 ** 18;
/** Fewer pixels of a block than these are not worth computing, and keeping, all of it. */
const MIN_KEPT_PIXELS = 1024;

/** Rows or columns of a query, as its cost is estimated. */
interface EstimatedAxis {
  readonly start: Exact;
  readonly length: Exact;
  /** Output pixels. */
  readonly count: number;
  /** Sites of the level. */
  readonly side: number;
  /** Density of the grid. */
  readonly m: number;
}

export interface LiifOptions {
  readonly engine: Engine;
  /** Feature blocks of all pictures together. */
  readonly features: LeasedCache<FeatureMap>;
  /** Decoded chunks of all pictures together. */
  readonly chunks: LeasedCache<Int16Array>;
  /** Pixels on the sites of blocks, of all pictures together; undefined: none are kept. */
  readonly pixels: LeasedCache<Raster> | undefined;
}

/** Bytes behind an address. */
export interface RemoteSource extends Source {
  /** What the address has said of the file as it is: ETag or time, once something has been read. */
  readonly validator: string | undefined;
}

/** Bounds feature maps of all pictures together. */
export function featureBlocks(maxBytes: number): LeasedCache<FeatureMap> {
  return new LeasedCache({ maxBytes, sizeOf: (map) => map.byteLength, close: (map) => map.close() });
}

/** What a `ChunkIndex` keeps of each. */
const INDEXED_CHUNK_BYTES = 12;

/**
 * Opens a .liif and closes the source with the picture. `id`: what caches are to know it by besides, so that what they have is never given for another file. `running` gives an engine, of the model with a hash where it is known. Rejects with FormatError,
 * UnsupportedError, SourceError or PictureChanged, and as `running` does.
 */
export async function openLiifPicture(
  source: Source | RemoteSource,
  id: string,
  running: (hash: string) => Promise<LiifOptions>,
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
    // Header and index hold the CRC of every chunk, and the model's hash: nothing else decides on a pixel, as long as nobody forges chunks to a CRC.
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

/** Bounds the pixels on sites of all pictures together. */
export function pixelBlocks(maxBytes: number): LeasedCache<Raster> {
  return new LeasedCache({ maxBytes, sizeOf: ({ data }) => data.byteLength });
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
  readonly #options: LiifOptions;
  readonly #picture: RenderPicture;
  readonly #blockSide: number;
  /** Of a file that lies elsewhere. */
  readonly #validator: string | undefined;
  #fileHash: Promise<string> | undefined;

  constructor(
    reader: Reader,
    id: string,
    identity: string,
    options: LiifOptions,
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
    const { region } = query;
    const plan = this.#plan(query);
    const { level, reduction, density } = plan;
    const planes = this.alpha ? 2 : 1;
    const grid = {
      rows: gridCount(density.rows, query.height),
      columns: gridCount(density.columns, query.width),
    };
    const samples = grid.rows * grid.columns * planes;
    const sites = this.#latents.sites(level);
    // Where the first and the last sample lie, as `sampleAxis` has it; doubles are good enough to guess with.
    const blocks = ({ start, length, count, side, m }: EstimatedAxis, margin = 0) => {
      const step = toNumber(toRational(length)) / (count * m);
      const blockOf = (position: number) => {
        const site = Math.floor(position / Number(reduction) - 0.5);
        return Math.floor(Math.min(side - 1, Math.max(0, site)) / this.#blockSide);
      };
      const first = toNumber(toRational(start));
      const beyond = m > 1 ? margin * m : 0;
      return {
        from: blockOf(first + step * (0.5 - beyond)),
        to: blockOf(first + step * (count * m + beyond - 0.5)),
      };
    };
    const { x, y } = region;
    const down = {
      start: y,
      length: region.height,
      count: query.height,
      side: sites.height,
      m: density.rows,
    };
    const across = {
      start: x,
      length: region.width,
      count: query.width,
      side: sites.width,
      m: density.columns,
    };
    // Blocks that only a reduction's filter needs are counted with the neighbors to whom they belong: most often these are asked for as well.
    const rows = blocks(down);
    const columns = blocks(across);
    const all = (rows.to - rows.from + 1) * (columns.to - columns.from + 1) * planes;
    const { engine, features, pixels } = this.#options;
    const onSites = ({ start, length, count, m }: EstimatedAxis) =>
      toNumber(toRational(length)) === count * m * Number(reduction) &&
      Number.isInteger(toNumber(toRational(start)) / Number(reduction));
    const keepable = onSites(across) && onSites(down);
    let cold = all;
    let kept = 0;
    // For tiles it is worth looking which blocks are there, or being made for others.
    if (all <= MAX_BLOCKS_LOOKED_AT) {
      cold = 0;
      for (let row = rows.from; row <= rows.to; row++)
        for (let column = columns.from; column <= columns.to; column++)
          for (let plane = 0; plane < planes; plane++) {
            const key = this.#key(level, plane, {
              top: row * this.#blockSide,
              left: column * this.#blockSide,
            });
            if (keepable && pixels?.has(key)) kept++;
            else if (!features.has(key)) cold++;
          }
    }
    const reduced = isReduction(plan);
    const piece = reduced ? REDUCED_PIECE : BAND_ROWS;
    const height = Math.min(query.height, piece);
    const width = reduced ? Math.min(query.width, piece) : query.width;
    const sharesOf = (axis: EstimatedAxis) => {
      const { from, to } = blocks(axis, FILTER_MARGIN);
      return Math.min(to - from + 1, Math.ceil(((to - from + 1) * piece) / axis.count) + 1);
    };
    const held = sharesOf(down) * sharesOf(across) * this.#blockSide ** 2;
    const pieceGrid = gridCount(density.rows, height + 4) * gridCount(density.columns, width + 4);
    // An engine that reduces holds the features of a whole piece; otherwise there is a strip of the grid, and up to 16 bytes for each sample.
    const byEngine = reduced && reducesAtOnce(engine, pieceGrid, held);
    const band = byEngine
      ? held * engine.model.head.hidden * 2
      : reduced
        ? Math.min(pieceGrid, MAX_STRIP_PIXELS) * 4 + height * width * 68
        : height * width * 4;
    const sampled = samples * (SAMPLE_WORK + (KEPT_WORK - SAMPLE_WORK) * (kept / all));
    const filter = reduced && !byEngine ? samples * FILTER_WORK : 0;
    return {
      bytes: query.width * query.height * 8 + band,
      work: IMAGE_WORK + cold * BLOCK_WORK + sampled + filter,
    };
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

  /** Read once, and to its end, whoever goes away meanwhile. */
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
    // What lies elsewhere is not fetched whole for this: its server tells one file from the next.
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

  /** The pixels of a block that are kept, or are worth keeping. */
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
    // The ensemble's other sites, whose weight is 0 here, belong to the window as well.
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
