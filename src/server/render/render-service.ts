import { createHash } from 'node:crypto';
import { type Lease, LeasedCache } from '../../features/leased-cache.ts';
import type { Raster } from '../../image/raster.ts';
import { onAbort, unlessAborted } from '../../on-abort.ts';
import type { RenderQuery } from '../../pixels/render.ts';
import type { Metrics } from '../metrics.ts';
import type { Estimate, ServedPicture } from '../pictures/picture.ts';
import { rectNeeded } from '../pictures/plain/resample.ts';
import type { ResamplePool } from '../pictures/plain/resample-pool.ts';
import { Problem, stopping } from '../problem.ts';
import type { Rendering } from '../protocols/rendering.ts';
import type { TileStore } from '../stores/tile-store.ts';
import type { Admission, Lane } from './admission.ts';
import type { Encoding } from './encoding.ts';
import { encodingCost, imagePixels } from './encoding-cost.ts';
import { ENCODER, type EncoderQuality } from './image-bytes.ts';

export interface RenderServiceOptions {
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly quality: EncoderQuality;
  readonly encoding: Encoding;
  /** Bound of the finished images in memory. */
  readonly cacheBytes: number;
  /** Finished images outside the process, the fastest first. */
  readonly stores: readonly TileStore[];
  /** Most estimated milliseconds of one request. */
  readonly maxWork: number;
  readonly timeoutMs: number;
  readonly resampling: ResamplePool;
}

/** Duration of one stage of making an image, for Server-Timing. */
export interface Timing {
  readonly stage: 'memory' | 'store' | 'decode' | 'queue' | 'render' | 'encode';
  readonly ms: number;
}

export interface ServedImage {
  readonly bytes: Buffer;
  readonly timings: readonly Timing[];
}

/**
 * Images of at most so many pixels, and at most so much work to decode, go to the lane of tiles. A tile of
 * 1024 pixels at half scale has a work of 9,900.
 */
const TILE_PIXELS = 1024 * 1024;
const TILE_WORK = 10_000;
/** After a failure, an encoder may still write to the memory: it is not used again. */
const FAILED = () => {};
/** Part of a piece of work that is done, on average, when its last client hangs up. */
const ABANDONED = 0.5;

/**
 * Makes images of renderings: looks in the caches, waits for admission, then renders and encodes. All
 * requests for the same image share one piece of work, which stops when the last of them has gone.
 */
export class RenderService {
  readonly #options: RenderServiceOptions;
  readonly #images: LeasedCache<ServedImage>;

  constructor(options: RenderServiceOptions) {
    this.#options = options;
    this.#images = new LeasedCache({
      maxBytes: options.cacheBytes,
      sizeOf: ({ bytes }) => bytes.length + 512,
    });
  }

  get counts(): { readonly bytes: number; readonly hits: number; readonly misses: number } {
    return this.#images;
  }

  /**
   * Names the bytes of a rendering, the same on every machine with this software: 64 hex digits. It is the
   * ETag; caches use names of their own.
   */
  keyOf(picture: ServedPicture, rendering: Rendering): string {
    const { jpegQuality, webpQuality, avifQuality } = this.#options.quality;
    const quality = { jpg: jpegQuality, webp: webpQuality, avif: avifQuality, png: 0, tif: 0, gif: 0 };
    return createHash('sha256')
      .update(`${ENCODER}\n${picture.identity}\n${rendering.key}\n${quality[rendering.format]}`)
      .digest('hex');
  }

  /**
   * The image of a rendering. `key` is of `keyOf`. Takes `lease` over, which holds the picture open, and
   * releases it when nobody needs it any more. Rejects with Problem, LiifError, PictureChanged, or the
   * signal's reason.
   */
  async image(
    lease: Lease<ServedPicture>,
    rendering: Rendering,
    key: string,
    signal: AbortSignal,
  ): Promise<ServedImage> {
    const begun = performance.now();
    const name = createHash('sha256').update(`${lease.value.cacheName}\n${key}`).digest('hex');
    let started = false;
    try {
      const image = await this.#images.lease(
        name,
        (shared) => {
          started = true;
          return this.#make(lease.value, rendering, name, shared).finally(() => lease.release());
        },
        signal,
      );
      image.release();
      if (started) return image.value;
      return {
        bytes: image.value.bytes,
        timings: [{ stage: 'memory', ms: performance.now() - begun }],
      };
    } finally {
      if (!started) lease.release();
    }
  }

  /** Pixels of a query, not encoded. Takes the lease over, and rejects, as `image` does. */
  async pixels(lease: Lease<ServedPicture>, query: RenderQuery, signal: AbortSignal): Promise<Raster> {
    const { admission, timeoutMs } = this.#options;
    try {
      if (lease.value.prepare) await this.#prepare(lease.value, query, signal);
      const { bytes, work } = lease.value.estimate(query);
      const leave = await admission.enter('tile', work, bytes, signal);
      const limit = limited(signal, timeoutMs);
      try {
        return await lease.value.render(query, limit.signal);
      } finally {
        limit.end();
        leave(signal.aborted ? ABANDONED : 1);
      }
    } finally {
      lease.release();
    }
  }

  /** Whether a query, encoded as JPEG, is within the work that the server allows for one request. */
  allows(picture: ServedPicture, query: RenderQuery): boolean {
    const { work } = encodingCost(query.width * query.height, 'jpg');
    return picture.estimate(query).work + work <= this.#options.maxWork;
  }

  /** Rejects all requests that wait for an image with the Problem that the server is stopping. */
  close(): void {
    this.#images.close(stopping());
  }

  async #make(
    picture: ServedPicture,
    rendering: Rendering,
    name: string,
    signal: AbortSignal,
  ): Promise<ServedImage> {
    const { metrics, stores } = this.#options;
    const timings: Timing[] = [];
    const timed = async <T>(stage: Timing['stage'], work: () => Promise<T>): Promise<T> => {
      const begun = performance.now();
      const result = await work();
      const ms = performance.now() - begun;
      timings.push({ stage, ms });
      metrics.stages.observe({ stage }, ms / 1000);
      return result;
    };
    const missed: TileStore[] = [];
    for (const store of stores) {
      const bytes = await timed('store', () => store.get(name));
      metrics.cache.inc({ cache: store.name, result: bytes ? 'hit' : 'miss' });
      if (bytes) {
        for (const other of missed) void other.put(name, bytes);
        return { bytes, timings };
      }
      missed.push(store);
    }
    signal.throwIfAborted();
    const estimate = this.#estimate(picture, rendering);
    // Tiles are prepared before the queue, so that tiles that wait for the same decoding take no places in
    // it. Regions wait for long, and what is prepared for all of them would be more than the cache keeps.
    if (picture.prepare && estimate.lane === 'tile')
      await timed('decode', () => this.#prepare(picture, rendering.query, signal));
    const bytes = await this.#queued(picture, rendering, estimate, signal, timed);
    for (const store of missed) void store.put(name, bytes);
    return { bytes, timings };
  }

  /** What a rendering costs. Throws Problem 413 if that is more than the server allows for one request. */
  #estimate(picture: ServedPicture, rendering: Rendering): Estimate & { readonly lane: Lane } {
    const { maxWork, admission } = this.#options;
    const decoding = picture.estimate(rendering.query);
    const pixels = imagePixels(rendering.query, rendering);
    const encoding = encodingCost(pixels, rendering.format);
    const work = decoding.work + encoding.work;
    const lane = pixels <= TILE_PIXELS && decoding.work <= TILE_WORK ? 'tile' : 'region';
    if (work > maxWork)
      throw new Problem(
        413,
        'request-too-large',
        'This much is not decoded at once; ask for a smaller region or size.',
        { members: { limit: Math.round(maxWork), requested: Math.round(work) } },
      );
    // Regions are prepared while they run, so their lane has that cost too.
    const shared = (lane === 'region' && picture.preparing?.(rendering.query)) || { bytes: 0, work: 0 };
    return {
      // Only `decoding.bytes` may exceed the limit and be refused. An image whose encoder or preparation
      // needs more runs alone.
      bytes: Math.max(decoding.bytes, Math.min(encoding.bytes + shared.bytes, admission.regionBytes)),
      work: work + shared.work,
      lane,
    };
  }

  async #prepare(picture: ServedPicture, query: RenderQuery, signal: AbortSignal): Promise<void> {
    const limit = limited(signal, this.#options.timeoutMs);
    try {
      await picture.prepare?.(query, limit.signal);
    } finally {
      limit.end();
    }
  }

  /** Renders and encodes when it is the request's turn. */
  async #queued(
    picture: ServedPicture,
    rendering: Rendering,
    { bytes, work, lane }: Estimate & { readonly lane: Lane },
    signal: AbortSignal,
    timed: <T>(stage: Timing['stage'], work: () => Promise<T>) => Promise<T>,
  ): Promise<Buffer> {
    const { admission, encoding, timeoutMs } = this.#options;
    const { query } = rendering;
    const leave = await timed('queue', () => admission.enter(lane, work, bytes, signal));
    const limit = limited(signal, timeoutMs);
    const memory = encoding.memory.take(3 * query.width * query.height);
    let encoded: Promise<Buffer> | undefined;
    try {
      const raster = await timed('render', () => this.#render(picture, rendering, limit.signal, memory));
      limit.signal.throwIfAborted();
      encoded = encoding.encode(raster, rendering, memory);
      const image = encoded;
      return await timed('encode', () => unlessAborted(limit.signal, image));
    } finally {
      limit.end();
      if (encoded === undefined) leave(signal.aborted ? ABANDONED : 1);
      // Encoders cannot be interrupted. The client is answered in time, but the place in the queue and the
      // memory are free only when the encoder is done.
      else encoded.then(() => encoding.memory.give(memory), FAILED).finally(() => leave());
    }
  }

  async #render(
    picture: ServedPicture,
    rendering: Rendering,
    signal: AbortSignal,
    memory: Uint8Array | undefined,
  ): Promise<Raster> {
    const raster = await (rendering.method === 'bicubic'
      ? this.#enlarge(picture, rendering, signal)
      : picture.render(rendering.query, signal, memory));
    const { colorSpace } = picture;
    return colorSpace ? { ...raster, colorSpace } : raster;
  }

  /** Plain cubic enlargement of the native pixels, at the positions of a query. */
  async #enlarge(picture: ServedPicture, rendering: Rendering, signal: AbortSignal): Promise<Raster> {
    const { query } = rendering;
    const { top, left, height, width } = rectNeeded(query, 1n, picture);
    const raster = await picture.render(
      { region: { x: left, y: top, width, height }, width, height, depth: 8 },
      signal,
    );
    return this.#options.resampling.run(
      {
        source: {
          // A copy: the memory is transferred to another thread, and other requests may hold the same pixels.
          raster: { ...raster, data: raster.data.slice() },
          top,
          left,
          rows: picture.height,
          columns: picture.width,
        },
        reduction: 1n,
        query,
      },
      signal,
    );
  }
}

/**
 * A signal that aborts with `signal`, or with Problem 503 after `timeoutMs`. Call `end` when it is no longer
 * needed.
 */
function limited(signal: AbortSignal, timeoutMs: number): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(
    () =>
      controller.abort(
        new Problem(503, 'timeout', `The work took longer than ${timeoutMs} ms.`, { retryAfter: 5 }),
      ),
    timeoutMs,
  );
  const forget = onAbort(signal, () => controller.abort(signal.reason));
  if (signal.aborted) controller.abort(signal.reason);
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      forget();
    },
  };
}
