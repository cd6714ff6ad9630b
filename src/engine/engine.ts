import type { Model } from '../network/model.ts';

/** A rectangle of latents, sites or pixels: rows top .. top+height-1, columns left .. left+width-1. */
export interface Rect {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Rows and columns of a whole tensor, e.g. all latents of a level. */
export interface Extent {
  readonly height: number;
  readonly width: number;
}

/** An int16 tensor (height, width, channels) that covers `rect` of some larger one. */
export interface Patch {
  readonly rect: Rect;
  readonly channels: number;
  readonly data: Int16Array;
}

/** A window of P (spec 3.7), wherever the engine keeps it. Close it when done: engines hold it outside the JavaScript heap. */
export interface FeatureMap {
  /** Sites covered. */
  readonly rect: Rect;
  /** Sites of the whole level: a multiple of 16 each way. */
  readonly level: Extent;
  readonly byteLength: number;
  /** (rect.height, rect.width, hidden). */
  read(): Promise<Int16Array>;
  close(): void;
}

/** Sample positions along one axis, exact (spec 4.2): for each output row (or column) the site index, unclamped, and the fraction in Q14. */
export interface Axis {
  readonly index: Int32Array;
  readonly fraction: Int16Array;
  /** Size of an output pixel in sites, Q12, 1024 .. 16384. */
  readonly cell: number;
}

/** Output pixels to compute from one feature map; all sites needed, once clamped to the level, lie inside its rect. */
export interface Query {
  readonly rows: Axis;
  readonly columns: Axis;
  readonly depth: 8 | 16;
  /** Memory for the samples, of their length: an engine may return it, filled, instead of new memory. It may be written to even after a call was aborted. */
  readonly into?: Uint8Array | undefined;
}

/** One axis of a reduction. */
export interface ReducedAxis {
  /** m of spec 4.7. */
  readonly density: number;
  /** Grid pixels: `count` inside the picture of `wanted` that are read; number i is the one at clamp(i + shift, 0, count - 1). */
  readonly span: { readonly count: number; readonly wanted: number; readonly shift: number };
  /** Output pixels. */
  readonly count: number;
}

/** A grid of head pixels that spec 4.7 makes an output of. */
export interface Reduction {
  /** Positions of the grid pixels inside the picture, of 8 bits. */
  readonly grid: Query;
  readonly rows: ReducedAxis;
  readonly columns: ReducedAxis;
  /** One channel, spec 4.6, instead of R, G and B. */
  readonly gray: boolean;
  /** As that of a query. */
  readonly into?: Uint8Array | undefined;
  /** Each pixel of the grid is in one of them. */
  readonly parts: readonly GridPart[];
}

/** Some rectangle of a grid's pixels: to be computed, or known already. */
export type GridPart = FeaturePart | SamplePart;

/** Pixels of a grid whose sites, once clamped to the level, lie inside one feature map. */
export interface FeaturePart {
  readonly features: FeatureMap;
  readonly rect: Rect;
}

/** Pixels of a grid that `pixels` has given before. */
export interface SamplePart {
  /** Of 3 channels, or 1 for a gray reduction: from the part's first sample on, each row `pitch` bytes behind the one before. */
  readonly samples: Uint8Array;
  readonly pitch: number;
  readonly rect: Rect;
}

/** RGB samples, row-major: Uint8Array for depth 8, Uint16Array for depth 16. */
export type Samples = Uint8Array | Uint16Array;

export interface EncodedChunk {
  readonly bytes: Uint8Array;
  /** What a decoder gets from `bytes`: dequantized latents (height, width, latentChannels). */
  readonly latents: Int16Array;
  /** What one symbol more would cost, in 1/256 bit, for each of those latents: encoders follow it. */
  readonly slopes: Int16Array;
}

/** Of the engines that come with this package. */
export type EngineName = 'reference' | 'wasm' | 'webgpu' | 'tensorflow';

/**
 * THE CONTRACT. Exact engines return the same bytes for the same call; `test/engine/conformance.ts` demands it of each.
 * Calls may overlap. An aborted call rejects with the signal's reason. After `close` every call rejects with EngineError.
 */
export interface Engine {
  readonly name: EngineName;
  /** Integer arithmetic throughout. Only exact engines decode chunks. */
  readonly exact: boolean;
  readonly model: Model;
  /** How many calls make progress at the same time. */
  readonly threads: number;
  /** What it computes on, as the system names it; absent: the processor. */
  readonly device?: string;
  /** Whether every call fails from now on: a thread has died, say. Absent: unknown, so a call that rejects with EngineError may mean it. */
  readonly broken?: boolean | undefined;

  /** Spec 3.4. Pixels (H,W,3), already padded and shifted to int16, covering `pixels.rect` of a padded picture of `picture` pixels -> analysis output covering the latents of `latents`. `pixels.rect` holds everything that `analysisWindow` asks for. */
  analyze(
    pixels: Patch,
    picture: Extent,
    latents: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array>;

  /** Analysis output of one chunk (height, width, latentChannels) -> its bytes. */
  encodeChunk(
    analysis: Int16Array,
    chunk: Extent,
    quality: number,
    signal?: AbortSignal,
  ): Promise<EncodedChunk>;

  /** Bytes of one chunk -> dequantized latents (height, width, latentChannels). Rejects with FormatError (section `chunk`, offsets relative to the chunk) on bytes that break chapter 2. */
  decodeChunk(bytes: Uint8Array, chunk: Extent, quality: number, signal?: AbortSignal): Promise<Int16Array>;

  /** Spec 3.7: latents covering at least `latentWindow(model, sites, level)` of a level of `level` latents -> P over `sites`. */
  features(
    latents: Patch,
    level: Extent,
    sites: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<FeatureMap>;

  /** Spec 4.3-4.5: one RGB raster per query, in order. */
  pixels(features: FeatureMap, queries: readonly Query[], signal?: AbortSignal): Promise<Samples[]>;

  /**
   * Spec 4.3-4.7 in one: samples (rows.count, columns.count, 1 or 3 channels). Absent: whoever wants a reduction asks for the grid's pixels
   * and filters them with `pixels/reduce.ts`, to the same bytes. For as many grid pixels, those outside the picture included, as `reducesAtOnce` allows.
   */
  reduce?(reduction: Reduction, signal?: AbortSignal): Promise<Uint8Array>;

  /**
   * For encoders, not of the specification: how an error of the decoder's pixels depends on latents. `coded` covers at least `latentWindow(model, sites, level)`
   * for the sites of `latents`, among which `pixels` lie. `errorsOf` is shown their samples (H,W,3) at native scale in 16 bits, and says by how much
   * each is off, or half the derivative by it of another error, as `analyze` counts samples and held within -ERROR_LIMIT .. ERROR_LIMIT. -> half
   * the derivative by latents (latents.height, latents.width, latentChannels), in units of `gradientNetwork(model).unit`, as if the latents
   * of `latents` alone could change.
   */
  gradient(
    coded: Patch,
    level: Extent,
    latents: Rect,
    pixels: Rect,
    errorsOf: (shown: Samples) => Int16Array,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array>;

  /** For benchmarks: what plain kernels reach on the same device. Absent: the processor's threads. */
  plainSpeed?(signal?: AbortSignal): Promise<PlainSpeed>;

  close(): Promise<void>;
}

/** The most of a device that simple code gets, measured. */
export interface PlainSpeed {
  /** Multiply-adds per second of a dense product, in 10^9; of matrices of bytes, where an engine uses those, a quarter. */
  readonly gigaMacs: number;
  /** Bytes per second, read and written, of a copy, in 10^9. */
  readonly copyGigabytes: number;
}
