import type { FeatureMap, Rect } from '../../engine/engine.ts';
import { LatentStore } from '../../features/latents.ts';
import type { Lease, LeasedCache } from '../../features/leased-cache.ts';
import { isReduction, planSampling, type SamplingPlan } from '../../head/query.ts';
import { channelsOf, type Raster } from '../../image/raster.ts';
import { whole } from '../../network/window.ts';
import { largestBlock } from '../../pixels/blocks.ts';
import { type RenderPicture, type RenderQuery, renderPiece } from '../../pixels/render.ts';
import { copyPixels, sitePixels } from '../../pixels/site-pixels.ts';
import type { Reader } from '../../reader/reader.ts';
import type { RunningEngine } from '../engines/engine-host.ts';
import { BAND_ROWS, decodingCost, REDUCED_PIECE } from './liif-cost.ts';
import type { Estimate } from './picture.ts';

/**
 * Sites on the side of a block of features, the unit that is computed, cached and shared; fewer where a model
 * has so many hidden units that such a block would take too much memory. 256 is one native tile: blocks of
 * 512 take 18 % less arithmetic for the same area, but a first tile has to wait for more than three times as
 * much.
 */
const BLOCK_SITES = 256;
/** A request for fewer pixels of a block does not make all of its pixels be computed and kept. */
const MIN_KEPT_PIXELS = 1024;

/** Computes pixels of an open .liif, by blocks that the caches of the engines keep for all requests. */
export class LiifDecoder {
  readonly #cacheName: string;
  readonly #running: RunningEngine;
  readonly #latents: LatentStore;
  readonly #picture: RenderPicture;
  readonly #blockSide: number;

  /** `cacheName` tells this picture from all others in the caches. */
  constructor(reader: Reader, cacheName: string, running: RunningEngine) {
    const { engine, chunks, pixels } = running;
    this.#cacheName = cacheName;
    this.#running = running;
    this.#latents = new LatentStore(reader, engine, chunks, cacheName);
    this.#blockSide = Math.min(BLOCK_SITES, largestBlock(engine.model.head.hidden));
    this.#picture = {
      ...reader.header,
      sites: (level) => this.#latents.sites(level),
      features: (...window) => this.#features(...window),
      ...(pixels && { sitePixels: (...block) => this.#sitePixels(pixels, ...block) }),
    };
  }

  /** Cost of `render`. */
  estimate(query: RenderQuery): Estimate {
    const { engine, features, pixels } = this.#running;
    const plan = this.#plan(query);
    const { level } = plan;
    return decodingCost(query, {
      engine,
      plan,
      sites: this.#latents.sites(level),
      planes: this.#picture.alpha ? 2 : 1,
      blockSide: this.#blockSide,
      hasFeatures: (plane, corner) => features.has(this.#key(level, plane, corner)),
      hasPixels: (plane, corner) => pixels?.has(this.#key(level, plane, corner)) ?? false,
    });
  }

  /** As `ServedPicture.render`. */
  async render(query: RenderQuery, signal: AbortSignal, into?: Uint8Array): Promise<Raster> {
    const { width, height } = query;
    const reduced = isReduction(this.#plan(query));
    const rows = reduced ? REDUCED_PIECE : BAND_ROWS;
    const columns = reduced ? REDUCED_PIECE : width;
    const blocks = { size: this.#blockSide, fitted: false };
    const call = { picture: this.#picture, engine: this.#running.engine, blocks, signal };
    const render = (piece: Rect, memory?: Uint8Array) => renderPiece(call, query, piece, memory);
    if (height <= rows && width <= columns) return render({ top: 0, left: 0, height, width }, into);
    const channels = channelsOf(this.#picture);
    const raster = { width, height, channels, data: new Uint8Array(width * height * channels) };
    for (let top = 0; top < height; top += rows)
      for (let left = 0; left < width; left += columns) {
        signal.throwIfAborted();
        const rect = {
          top,
          left,
          height: Math.min(rows, height - top),
          width: Math.min(columns, width - left),
        };
        const piece = await render(rect);
        copyPixels(piece, whole(rect), raster, top, left, false);
      }
    return raster;
  }

  #plan({ region, width, height }: RenderQuery): SamplingPlan {
    const { levels, overviewFactor } = this.#picture;
    return planSampling(region, width, height, levels, overviewFactor);
  }

  #key(level: number, plane: number, { top, left }: Pick<Rect, 'top' | 'left'>): string {
    return `${this.#cacheName}/${level}/${plane}/${top}/${left}`;
  }

  #features(level: number, plane: number, rect: Rect, signal?: AbortSignal): Promise<Lease<FeatureMap>> {
    const load = (shared: AbortSignal) => this.#latents.features(level, plane, rect, shared);
    return this.#running.features.lease(this.#key(level, plane, rect), load, signal);
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
        const channels = plane === 1 ? 1 : this.#picture.channels;
        return await sitePixels(this.#running.engine, lease.value, block, channels, shared);
      } finally {
        lease.release();
      }
    };
    return pixels.lease(key, load, signal);
  }
}
