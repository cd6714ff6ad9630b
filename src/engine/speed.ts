import { sampleAxis } from '../head/query.ts';
import type { Model } from '../network/model.ts';
import type { Axis, Engine, Extent, FeatureMap, Patch, Query, Rect } from './engine.ts';

/** The speed of an engine, as somebody who waits for pixels sees it. */
export interface EngineSpeed {
  /** Synthesis: megapixels of features per second. */
  readonly megapixels: number;
  /** 256 x 256 tiles per second from warm features, at native scale. */
  readonly tiles: number;
}

export interface TimingOptions {
  /** Calls are repeated for this long. */
  readonly seconds: number;
  readonly signal?: AbortSignal | undefined;
}

export const TILE_SIDE = 256;
const QUALITY = 60;

/**
 * Estimates an engine's speed. Windows grow until a call takes long enough to be measured, so that slow
 * engines take little more time than fast ones. Rejects if the engine fails.
 */
export async function measureSpeed(engine: Engine, options: TimingOptions): Promise<EngineSpeed> {
  const { megapixels, side } = await featureSpeed(engine, options);
  const features = await warmFeatures(engine, side, options.signal);
  try {
    return { megapixels, tiles: await tileSpeed(engine, features, 1, 1, options) };
  } finally {
    features.close();
  }
}

/**
 * Seconds of the fastest of several calls of `work`, made for `seconds` after one that does not count. If the
 * first takes that long already, it is the only one, and counts.
 */
export async function leastSeconds(
  work: () => Promise<unknown>,
  { seconds, signal }: TimingOptions,
): Promise<number> {
  const once = () => {
    signal?.throwIfAborted();
    return secondsOf(work);
  };
  let least = await once();
  if (least >= seconds) return least;
  const end = performance.now() + seconds * 1000;
  least = Number.POSITIVE_INFINITY;
  do least = Math.min(least, await once());
  while (performance.now() < end);
  return least;
}

export interface FeatureSpeed {
  readonly megapixels: number;
  /** Sites on the side of the windows that were measured. */
  readonly side: number;
  /** One of the windows, and the latents of the level that it is of. */
  readonly sites: Rect;
  readonly level: Extent;
}

const SMALLEST_SIDE = 32;

/** Measures synthesis of windows of P, as many at a time as the engine works on. */
export async function featureSpeed(
  engine: Engine,
  options: TimingOptions,
  largestSide = 512,
): Promise<FeatureSpeed> {
  for (let side = SMALLEST_SIDE; ; side *= 2) {
    const { latents, level, sites } = windowOf(engine.model, side);
    const one = async () => {
      const map = await engine.features(latents, level, sites, QUALITY, options.signal);
      // A GPU may still be at work: wait for a pixel.
      await engine.pixels(map, [onePixel(map)], options.signal);
      map.close();
    };
    // The first call compiles kernels and allocates memory.
    if (side === SMALLEST_SIDE) await one();
    if (side < largestSide && (await secondsOf(one)) < options.seconds / 4) continue;
    const together = Math.max(1, engine.threads);
    const least = await leastSeconds(() => Promise.all(Array.from({ length: together }, one)), options);
    return { megapixels: (together * side * side) / least / 1e6, side, sites, level };
  }
}

/** P over side x side sites in the middle of a level. */
export function warmFeatures(engine: Engine, side: number, signal?: AbortSignal): Promise<FeatureMap> {
  const { latents, level, sites } = windowOf(engine.model, side);
  return engine.features(latents, level, sites, QUALITY, signal);
}

/**
 * Tiles per second from one feature map, in calls of `batch` tiles, as many calls at a time as the engine
 * works on. As in servers, memory for samples is used again. `step`: sites per pixel; 1 is native scale, less
 * enlarges.
 */
export async function tileSpeed(
  engine: Engine,
  features: FeatureMap,
  batch: number,
  step: number,
  options: TimingOptions,
): Promise<number> {
  const together = Math.max(1, engine.threads);
  const tiles = Array.from({ length: batch }, (_, i) => tileOf(features, step, i));
  const calls = Array.from({ length: together }, () =>
    tiles.map((tile) => ({ ...tile, into: new Uint8Array(TILE_SIDE * TILE_SIDE * 3) })),
  );
  const all = () => Promise.all(calls.map((queries) => engine.pixels(features, queries, options.signal)));
  return (together * batch) / (await leastSeconds(all, options));
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** A window of side x side sites in the middle of a level, and all latents of that level. */
export function windowOf(model: Model, side: number): { latents: Patch; level: Extent; sites: Rect } {
  const stride = model.latentStride;
  const margin = 8;
  const count = Math.ceil(side / stride) + 2 * margin;
  const level = { height: count, width: count };
  let state = 1;
  const data = new Int16Array(count * count * model.latentChannels);
  // Like true latents: small, and most of them 0.
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = (state & 0x300) === 0 ? state >> 22 : 0;
  }
  return {
    latents: { rect: { top: 0, left: 0, ...level }, channels: model.latentChannels, data },
    level,
    sites: { top: margin * stride, left: margin * stride, height: side, width: side },
  };
}

function onePixel({ rect, level }: FeatureMap): Query {
  return {
    rows: sampleAxis(rect.top, 1, 1, 1n, level.height),
    columns: sampleAxis(rect.left, 1, 1, 1n, level.width),
    depth: 8,
  };
}

/**
 * A query of 256 x 256 pixels; `i` varies the place in the window. Pixels outside a smaller window get sites
 * of its border.
 */
export function tileOf({ rect, level }: FeatureMap, step: number, i: number): Query {
  const shift = step === 1 ? 0 : step / 2;
  const axis = (first: number, count: number, sites: number, offset: number): Axis => {
    const room = Math.max(0, Math.floor(count - TILE_SIDE * step - 1));
    const start = first + (room === 0 ? 0 : offset % room);
    const { index, fraction, cell } = sampleAxis(start + shift, TILE_SIDE * step, TILE_SIDE, 1n, sites);
    const last = first + count - 2;
    return { index: index.map((site) => Math.max(first, Math.min(last, site))), fraction, cell };
  };
  return {
    rows: axis(rect.top, rect.height, level.height, i * 37),
    columns: axis(rect.left, rect.width, level.width, i * 53),
    depth: 8,
  };
}
