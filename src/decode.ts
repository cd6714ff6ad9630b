import { type Header, modelHash } from './container/header.ts';
import type { Engine, FeatureMap, Rect } from './engine/engine.ts';
import { EngineError, kindOf, RequestError, UnsupportedError } from './errors.ts';
import { decodedChunks, LatentStore } from './features/latents.ts';
import { type Lease, LeasedCache } from './features/leased-cache.ts';
import { expectEngine, givenOptions } from './given.ts';
import { isReduction, planSampling } from './head/query.ts';
import { divide, toNumber, toRational } from './head/rational.ts';
import { channelsOf, type Raster } from './image/raster.ts';
import { type BlockOptions, largestBlock } from './pixels/blocks.ts';
import { type RenderPicture, type RenderQuery, renderPiece } from './pixels/render.ts';
import { memorySource } from './reader/memory-source.ts';
import { openReader, type Reader } from './reader/reader.ts';
import type { Source } from './reader/source.ts';
import { type RenderRequest, resolveRequest } from './render-request.ts';

/** How far a long call has come. */
export interface Progress {
  /** `search`: for the quality that meets a target. */
  readonly stage: 'search' | 'encode' | 'decode';
  /** 0 to `total`, in a unit that depends on the stage: only the ratio of both has a meaning. */
  readonly done: number;
  readonly total: number;
}

/** Options of every long call. */
export interface CallOptions {
  /** Aborts the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called again and again as the call advances. */
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Gives an engine of the model with this hash (SHA-256 in lower-case hexadecimal). Rejects with
 * UnsupportedError where it has none.
 */
export type EngineOfModel = (hash: string) => Promise<Engine>;

/** How a picture is opened. */
export interface OpenOptions {
  /** An engine of the file's model, or a function that gives one for the hash of that model. */
  readonly engine: Engine | EngineOfModel;
  /** Aborts the opening. */
  readonly signal?: AbortSignal;
  /**
   * Most bytes of feature maps that stay in memory between calls. Default 0: no call reuses what another has
   * computed.
   */
  readonly featureCacheBytes?: number;
  /** Most bytes of decoded latents that stay in memory. Default 64 MiB. */
  readonly latentCacheBytes?: number;
}

/** Most bytes of the result of `render`, which is in memory as a whole. */
const MAX_RASTER_BYTES = 2 ** 31;
/** Bytes of a band of `renderBands`, about. */
const BAND_BYTES = 32 * 2 ** 20;
/** The same for a reduction, which holds up to 16 bytes for each byte of its output. */
const REDUCED_BAND_BYTES = 128 * 2 ** 20;
const MIN_REDUCED_ROWS = 32;
/** Rows of sites that a band takes from one window of features. */
const WINDOW_SITES = 1024;
const LATENT_CACHE_BYTES = 64 * 2 ** 20;

/**
 * An opened picture, from `open` or `openImage`. Its header has been read and checked; pixels are decoded
 * when they are asked for. Several calls may run at a time. Close it when done.
 */
export class LiifImage {
  /** Reads the file. `reader.bytesRead` counts the bytes that have arrived. */
  readonly reader: Reader;
  /** Computes the pixels. */
  readonly engine: Engine;
  readonly #chunks: LeasedCache<Int16Array>;
  readonly #latents: LatentStore;
  readonly #features: LeasedCache<FeatureMap>;
  #closed = false;

  constructor(reader: Reader, options: OpenOptions & { readonly engine: Engine }) {
    this.reader = reader;
    this.engine = options.engine;
    this.#chunks = decodedChunks(options.latentCacheBytes ?? LATENT_CACHE_BYTES);
    this.#latents = new LatentStore(reader, options.engine, this.#chunks);
    this.#features = new LeasedCache({
      maxBytes: options.featureCacheBytes ?? 0,
      sizeOf: (map) => map.byteLength,
      close: (map) => map.close(),
    });
  }

  /** The header of the file: size, channels, quality, model, sections. */
  get header(): Header {
    return this.reader.header;
  }
  /** Width in pixels. */
  get width(): number {
    return this.header.width;
  }
  /** Height in pixels. */
  get height(): number {
    return this.header.height;
  }

  /**
   * The bytes of the section of this type, e.g. `icc`, `exif` (from the byte order mark on), `xmp` or `text`.
   * Undefined where `header.sections` lists none. Rejects with FormatError, SourceError, or EngineError where
   * the picture has been closed.
   */
  async section(type: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    if (this.#closed) throw closedError();
    return this.reader.readSection(type, signal);
  }

  /**
   * Fills in what a request leaves open: region, size and depth. Throws RequestError for a request that does
   * not fit the picture.
   */
  resolve(request: RenderRequest = {}): RenderQuery {
    return resolveRequest(this.header, request);
  }

  /**
   * Decodes a region (default: the whole picture) at a size (default: its own) into memory, at most 2 GiB of
   * samples. Rejects with RequestError (the request does not fit the picture), FormatError (the file is
   * damaged there), SourceError (bytes do not arrive) or EngineError.
   *
   * @example const { data, channels } = await picture.render({ width: 1024 }); // samples 0..255, row by row,
   * interleaved
   */
  async render(request: RenderRequest = {}, options: CallOptions = {}): Promise<Raster> {
    const query = this.resolve(request);
    const channels = channelsOf(this.header);
    const bytes = query.width * query.height * channels * (query.depth / 8);
    if (bytes > MAX_RASTER_BYTES)
      throw new RequestError(
        `${query.width} x ${query.height} pixels are ${bytes} bytes, more than the ${MAX_RASTER_BYTES} that one raster may have; render it in bands`,
      );
    const samples = query.width * query.height * channels;
    const data = query.depth === 16 ? new Uint16Array(samples) : new Uint8Array(samples);
    let offset = 0;
    for await (const band of this.#bands(query, givenOptions(options))) {
      data.set(band.data, offset);
      offset += band.data.length;
    }
    return this.#colored({ width: query.width, height: query.height, channels, data });
  }

  /**
   * The pixels of `render` in bands of whole rows, from top to bottom. Memory is bounded however large the
   * output. Throws RequestError at the call; iterating rejects as `render` does.
   */
  renderBands(
    request: RenderRequest = {},
    options: CallOptions = {},
  ): AsyncGenerator<Raster, void, undefined> {
    return this.#bands(this.resolve(request), givenOptions(options));
  }

  /**
   * Output rows from .. to-1 of a query, for callers that choose the blocks of features themselves, as a tile
   * server does. Rejects as `render` does.
   */
  async renderRows(
    query: RenderQuery,
    from: number,
    to: number,
    blocks: BlockOptions,
    signal?: AbortSignal,
  ): Promise<Raster> {
    if (this.#closed) throw closedError();
    const call = { picture: this.#picture(), engine: this.engine, blocks, signal };
    const piece = { top: from, left: 0, height: to - from, width: query.width };
    return this.#colored(await renderPiece(call, query, piece));
  }

  /**
   * Drops the caches and closes the source. Calls under way reject with EngineError. The engine stays open:
   * it belongs to the caller.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#features.close(closedError());
    this.#chunks.close(closedError());
    await this.reader.close();
  }

  async *#bands(query: RenderQuery, options: CallOptions): AsyncGenerator<Raster, void, undefined> {
    const rows = Math.min(query.height, this.#bandRows(query));
    const size = largestBlock(this.engine.model.head.hidden);
    options.onProgress?.({ stage: 'decode', done: 0, total: query.height });
    for (let from = 0; from < query.height; from += rows) {
      const to = Math.min(query.height, from + rows);
      yield await this.renderRows(query, from, to, { size, fitted: true }, options.signal);
      options.onProgress?.({ stage: 'decode', done: to, total: query.height });
    }
  }

  /**
   * Rows of a band: as many as one window of features serves, fewer where memory is short. Bands of a
   * reduction share three rows with the next.
   */
  #bandRows(query: RenderQuery): number {
    const { levels, overviewFactor } = this.header;
    const plan = planSampling(query.region, query.width, query.height, levels, overviewFactor);
    const rowBytes = query.width * channelsOf(this.header) * (query.depth / 8);
    const step = divide(toRational(query.region.height), toRational(query.height));
    const window = WINDOW_SITES / toNumber(divide(step, toRational(plan.reduction)));
    if (!isReduction(plan))
      return Math.max(1, Math.min(Math.floor(window), Math.floor(BAND_BYTES / rowBytes)));
    const bound = Math.floor(REDUCED_BAND_BYTES / (17 * rowBytes));
    return Math.max(1, Math.min(Math.max(MIN_REDUCED_ROWS, Math.floor(window) - 3), bound));
  }

  #colored(raster: Raster): Raster {
    const { colorSpace } = this.header;
    return colorSpace ? { ...raster, colorSpace } : raster;
  }

  #picture(): RenderPicture {
    return {
      ...this.header,
      sites: (level) => this.#latents.sites(level),
      features: (level, plane, rect, signal) => this.#featureMap(level, plane, rect, signal),
    };
  }

  #featureMap(level: number, plane: number, rect: Rect, signal?: AbortSignal): Promise<Lease<FeatureMap>> {
    const key = `${level}/${plane}/${rect.top}/${rect.left}/${rect.height}/${rect.width}`;
    const load = (shared: AbortSignal) => this.#latents.features(level, plane, rect, shared);
    return this.#features.lease(key, load, signal);
  }
}

/**
 * Opens a file for decoding, from a source or its bytes. Only header and index are read. Close the picture
 * when done.
 *
 * Rejects with RequestError (wrong options), SourceError (bytes do not arrive), FormatError (the file is
 * damaged), UnsupportedError (it needs another version or model), and as a function that gives the engine
 * does.
 *
 * @example
 * const picture = await openImage(httpSource('https://example.org/map.liif'), { engine });
 */
export async function openImage(source: Source | Uint8Array, options: OpenOptions): Promise<LiifImage> {
  const given = source instanceof Uint8Array ? memorySource(source) : source;
  // TypeScript refuses paths and addresses, JavaScript does not.
  if (typeof given?.getBytes !== 'function')
    throw new RequestError(`Expected a source or bytes but received ${kindOf(source)}`);
  const { signal, engine: wanted, ...caches } = givenOptions(options);
  if (typeof wanted !== 'function') expectEngine(wanted);
  const reader = await openReader(given, { ...(signal && { signal }) });
  const needed = modelHash(reader.header);
  try {
    const engine = typeof wanted === 'function' ? await wanted(needed) : wanted;
    const { model } = engine;
    if (needed === model.hash) return new LiifImage(reader, { ...caches, engine });
    throw new UnsupportedError(
      `The file needs model ${needed}; this decoder has ${model.name} (${model.hash}). Decode it with the version of liif that carries that model, or with its model file`,
    );
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/**
 * EXIF and XMP of a file, for an image that is made of it: `metadata` of `image/write.ts`. Rejects as
 * `LiifImage.section` does.
 */
export async function metadataOf(image: LiifImage, signal?: AbortSignal) {
  const [exif, xmp] = await Promise.all([image.section('exif', signal), image.section('xmp', signal)]);
  return { exif, xmp };
}

/**
 * The output of a request as an `ImageBands` of `image/write.ts`. The type is not named here, since pages do
 * not load that module. Throws RequestError.
 */
export function imageBands(image: LiifImage, request: RenderRequest, options: CallOptions) {
  const { width, height, depth } = image.resolve(request);
  const { colorSpace } = image.header;
  return {
    width,
    height,
    depth,
    channels: channelsOf(image.header),
    ...(colorSpace && { colorSpace }),
    bands: image.renderBands(request, options),
  };
}

/** Opens a file, renders a request, and closes the file. Rejects as `openImage` and `LiifImage.render` do. */
export async function decodeImage(
  source: Source | Uint8Array,
  options: OpenOptions & CallOptions & RenderRequest,
): Promise<Raster> {
  const image = await openImage(source, options);
  try {
    return await image.render(options, options);
  } finally {
    await image.close();
  }
}

function closedError(): EngineError {
  return new EngineError('The picture has been closed');
}
