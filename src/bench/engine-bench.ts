import { decodeImage } from '../decode.ts';
import { encodeImage } from '../encode.ts';
import type { Engine, EngineName, Extent, PlainSpeed } from '../engine/engine.ts';
import {
  featureSpeed,
  leastSeconds,
  TILE_SIDE,
  type TimingOptions,
  tileSpeed,
  warmFeatures,
} from '../engine/speed.ts';
import { multiplyAdds } from './multiply-adds.ts';
import { processorSpeed } from './processor-speed.ts';
import { analysisOf, syntheticPicture } from './synthetic-picture.ts';

/** Figures of one engine, warm, from the fastest of several calls. Speeds are per second. */
export interface EngineFigures {
  readonly engine: EngineName;
  readonly exact: boolean;
  /** The device that the engine computes on; absent: the processor. */
  readonly device?: string;
  readonly threads: number;
  /** Speed of plain kernels on the same device: a dense product, and a copy. */
  readonly plain: PlainSpeed;
  /** Synthesis of windows of `side` x `side` sites. The halo is computed, but does not count as pixels. */
  readonly features: {
    readonly side: number;
    readonly megapixels: number;
    readonly gigaMacs: number;
    /** gigaMacs as a share of the plain kernel's. */
    readonly share: number;
  };
  /** 256 x 256 tiles from warm features. */
  readonly tiles: readonly TileFigures[];
  /**
   * Prior and entropy coding, one chunk at a time on each thread. Absent for engines that are not exact,
   * which leave it to another one.
   */
  readonly entropy?: {
    readonly latents: Extent;
    readonly decodeMegapixels: number;
    readonly encodeMegapixels: number;
    /** Megabits of coded bytes per second. */
    readonly decodeMegabits: number;
  };
  /** Encoding and decoding of a picture, from memory to memory. */
  readonly picture: {
    readonly width: number;
    readonly height: number;
    readonly encodeSeconds: number;
    readonly decodeSeconds: number;
  };
}

export interface TileFigures {
  /** Output pixels per site. At 1, native scale, a pixel needs one site; at 2 it blends four. */
  readonly scale: 1 | 2;
  /** Tiles in one call. */
  readonly batch: number;
  readonly tiles: number;
  /** Least bytes that are read of features and written of pixels, as a share of what the plain copy moves. */
  readonly share: number;
}

/** `seconds`: time for each figure. */
export interface BenchOptions extends TimingOptions {
  /** Called before each step. */
  readonly onStep?: (step: BenchStep) => void;
}

export const BENCH_STEPS = ['plain kernels', 'features', 'tiles', 'entropy', 'picture'] as const;
export type BenchStep = (typeof BENCH_STEPS)[number];

const BATCHES = [1, 4, 16, 64];
/** Largest side of a window in sites. */
const LARGEST_WINDOW = 1024;
const QUALITY = 60;
/** A whole level, whose arithmetic per pixel has no halo. */
const SOME_LATENTS = { height: 64, width: 64 };
const SOME_SITES = { top: 0, left: 0, height: 1024, width: 1024 };

/**
 * Measures one engine. Slow engines get smaller work, so that none takes much longer than the others. Rejects
 * with the error of the engine, and with the signal's reason.
 */
export async function benchEngine(engine: Engine, options: BenchOptions): Promise<EngineFigures> {
  const { seconds, signal, onStep } = options;
  const { model } = engine;
  const timing = { seconds, signal };

  onStep?.('plain kernels');
  const plain =
    (await engine.plainSpeed?.(signal)) ??
    (await processorSpeed(engine.threads, Math.min(1, seconds), signal));

  onStep?.('features');
  const { side, megapixels, sites, level } = await featureSpeed(engine, timing, LARGEST_WINDOW);
  const macsOfWindow = multiplyAdds(model.synthesis, level, sites);
  const gigaMacs = (megapixels * 1e6 * macsOfWindow) / (side * side) / 1e9;

  onStep?.('tiles');
  const tiles = await benchTiles(engine, Math.min(512, Math.max(side, 64)), plain, timing);

  onStep?.('entropy');
  const entropy = engine.exact ? await benchEntropy(engine, timing) : undefined;

  onStep?.('picture');
  const picture = await benchPicture(engine, gigaMacs, timing);

  return {
    engine: engine.name,
    exact: engine.exact,
    ...(engine.device !== undefined && { device: engine.device }),
    threads: engine.threads,
    plain,
    features: { side, megapixels, gigaMacs, share: gigaMacs / plain.gigaMacs },
    tiles,
    ...(entropy && { entropy }),
    picture,
  };
}

async function benchTiles(
  engine: Engine,
  side: number,
  plain: PlainSpeed,
  timing: TimingOptions,
): Promise<TileFigures[]> {
  const features = await warmFeatures(engine, side, timing.signal);
  const figures: TileFigures[] = [];
  try {
    for (const scale of [1, 2] as const) {
      let last = Number.POSITIVE_INFINITY;
      for (const batch of BATCHES) {
        // Larger batches are skipped where a call would take longer than the time for a figure.
        if (batch / last > timing.seconds) break;
        last = await tileSpeed(engine, features, batch, 1 / scale, timing);
        const bytes = TILE_SIDE ** 2 * ((engine.model.head.hidden * 2) / scale ** 2 + 3);
        figures.push({ scale, batch, tiles: last, share: (last * bytes) / 1e9 / plain.copyGigabytes });
      }
    }
  } finally {
    features.close();
  }
  return figures;
}

/** Codes a chunk whose side grows until coding takes long enough to be measured. */
async function benchEntropy(engine: Engine, timing: TimingOptions): Promise<EngineFigures['entropy']> {
  const { signal } = timing;
  for (let side = 4; ; side *= 2) {
    const latents = { height: side, width: side };
    const analysis = await analysisOf(engine, latents, QUALITY, signal);
    if (side === 4) await engine.encodeChunk(analysis, latents, QUALITY, undefined, signal);
    const start = performance.now();
    const { bytes } = await engine.encodeChunk(analysis, latents, QUALITY, undefined, signal);
    if (side < 32 && performance.now() - start < timing.seconds * 250) continue;
    const together = Math.max(1, engine.threads);
    const times = (work: () => Promise<unknown>) =>
      leastSeconds(() => Promise.all(Array.from({ length: together }, work)), timing);
    const encode = await times(() => engine.encodeChunk(analysis, latents, QUALITY, undefined, signal));
    const decode = await times(() => engine.decodeChunk(bytes, latents, QUALITY, signal));
    const pixels = together * (side * engine.model.latentStride) ** 2;
    return {
      latents,
      encodeMegapixels: pixels / encode / 1e6,
      decodeMegapixels: pixels / decode / 1e6,
      decodeMegabits: (together * bytes.length * 8) / decode / 1e6,
    };
  }
}

async function benchPicture(
  engine: Engine,
  gigaMacs: number,
  timing: TimingOptions,
): Promise<EngineFigures['picture']> {
  const macsOfPixel = multiplyAdds(engine.model.synthesis, SOME_LATENTS, SOME_SITES) / SOME_SITES.width ** 2;
  // Encoding and decoding take about three times the arithmetic of features.
  const affordable = Math.sqrt((gigaMacs * 1e9 * timing.seconds) / (3 * macsOfPixel));
  const height = Math.max(32, Math.min(2048, 2 ** Math.floor(Math.log2(affordable))));
  const width = (height * 3) / 2;
  const raster = syntheticPicture(width, height);
  const { signal } = timing;
  const options = { quality: QUALITY, ...(signal && { signal }) };
  let file: Uint8Array = new Uint8Array();
  const encodeSeconds = await leastSeconds(async () => {
    file = await encodeImage(engine, raster, options);
  }, timing);
  const decodeSeconds = await leastSeconds(
    () => decodeImage(file, { engine, ...(signal && { signal }) }),
    timing,
  );
  return { width, height, encodeSeconds, decodeSeconds };
}
