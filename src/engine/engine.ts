import type { ChunkNetwork } from '../network/back-network.ts';
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

/** An int16 tensor (rect.height, rect.width, channels): the part `rect` of a larger tensor. */
export interface Patch {
  readonly rect: Rect;
  readonly channels: number;
  readonly data: Int16Array;
}

/**
 * A window of the feature map P (spec 3.7), wherever the engine keeps it. Close it when done: engines hold it
 * outside the JavaScript heap.
 */
export interface FeatureMap {
  /** Sites covered. */
  readonly rect: Rect;
  /** Sites of the whole level: a multiple of 16 each way. */
  readonly level: Extent;
  readonly byteLength: number;
  /** P as (rect.height, rect.width, hidden). Rejects with EngineError once it is closed. */
  read(): Promise<Int16Array>;
  close(): void;
}

/**
 * Sample positions along one axis (spec 4.2): for each output row, or column, the site before it and the
 * fraction of the way to the next site.
 */
export interface Axis {
  /** Sites, which may lie outside the level: spec 4.3 clamps them. */
  readonly index: Int32Array;
  /** Q14, 0 .. 16383. */
  readonly fraction: Int16Array;
  /** Size of an output pixel in sites, Q12, 1024 .. 16384. */
  readonly cell: number;
}

/**
 * Output pixels to compute from one feature map; all sites needed, once clamped to the level, lie inside its
 * rect.
 */
export interface Query {
  readonly rows: Axis;
  readonly columns: Axis;
  readonly depth: 8 | 16;
  /**
   * Memory for samples of 8 bits: if it has their length, an engine may fill and return it instead of new
   * memory. An aborted call may still write to it.
   */
  readonly into?: Uint8Array | undefined;
}

/** One axis of a reduction (spec 4.7). */
export interface ReducedAxis {
  /** m of spec 4.7. */
  readonly density: number;
  /**
   * Grid pixels: the filter reads `wanted` of them, `count` lie inside the picture. Number i of those wanted
   * is number clamp(i + shift, 0, count - 1) of those inside.
   */
  readonly span: { readonly count: number; readonly wanted: number; readonly shift: number };
  /** Output pixels. */
  readonly count: number;
}

/** A grid of pixels of the head, to be reduced to an output (spec 4.7). */
export interface Reduction {
  /** Positions of the grid pixels inside the picture, of 8 bits. */
  readonly grid: Query;
  readonly rows: ReducedAxis;
  readonly columns: ReducedAxis;
  /** One channel, spec 4.6, instead of R, G and B. */
  readonly gray: boolean;
  /** As for a query. */
  readonly into?: Uint8Array | undefined;
  /** Each pixel of the grid is in exactly one part. */
  readonly parts: readonly GridPart[];
}

/** A rectangle of a grid's pixels: to be computed, or known already. */
export type GridPart = FeaturePart | SamplePart;

/** Pixels of a grid whose sites, once clamped to the level, lie inside one feature map. */
export interface FeaturePart {
  readonly features: FeatureMap;
  readonly rect: Rect;
}

/** Pixels of a grid that a call of `pixels` has made before. */
export interface SamplePart {
  /**
   * Interleaved, 3 channels, or 1 for a gray reduction. The part's first sample comes first; rows are `pitch`
   * bytes apart.
   */
  readonly samples: Uint8Array;
  readonly pitch: number;
  readonly rect: Rect;
}

/** RGB samples, row-major: Uint8Array for depth 8, Uint16Array for depth 16. */
export type Samples = Uint8Array | Uint16Array;

export interface EncodedChunk {
  readonly bytes: Uint8Array;
  /** The latents that a decoder gets from `bytes`: (height, width, latentChannels), dequantized. */
  readonly latents: Int16Array;
  readonly rate: ChunkRate;
}

/**
 * What the bits of a chunk depend on, for encoders that optimize: (h, w) are its latents, (hz, wz) its hyper
 * latents. Slopes are in 1/256 bit, and 0 for symbols that are not coded.
 */
export interface ChunkRate {
  /** (h, w, latentChannels): what a symbol larger by 1 would cost more. */
  readonly slopes: Int16Array;
  /** (h, w, latentChannels): what the symbol would cost more by the next table. */
  readonly tableSlopes: Int16Array;
  /** (hz, wz, hyperChannels): what a hyper symbol larger by 1 would cost more. */
  readonly hyperSlopes: Int16Array;
  /** (hz, wz, hyperChannels): what was coded as hyper latents, before it was rounded. */
  readonly hyper: Int16Array;
  /** (hz, wz, hyperChannels): the hyper latents that a decoder gets. */
  readonly hyperLatents: Int16Array;
  /** (h, w, priorChannels): h of spec 3.6. */
  readonly context: Int16Array;
}

/** Names of the engines that come with this package. */
export type EngineName = 'reference' | 'wasm' | 'webgpu' | 'tensorflow';

/**
 * THE CONTRACT. Exact engines return the same bytes for the same call; `test/engine/conformance.ts` demands
 * it of each. Calls may overlap. An aborted call rejects with the signal's reason. After `close` every call
 * rejects with EngineError.
 */
export interface Engine {
  readonly name: EngineName;
  /** Integer arithmetic throughout. Only exact engines decode chunks. */
  readonly exact: boolean;
  readonly model: Model;
  /** How many calls make progress at the same time. */
  readonly threads: number;
  /** The device it computes on, as the system names it. Absent: the processor. */
  readonly device?: string;
  /**
   * Whether every call fails from now on: a thread has died, say. Absent: unknown, so a call that rejects
   * with EngineError may mean it.
   */
  readonly broken?: boolean | undefined;

  /**
   * Spec 3.4: pixels -> analysis output (latents.height, latents.width, latentChannels). `pixels` has 3
   * channels, is padded and shifted to int16, and covers at least `analysisWindow(model, latents, picture)`
   * of a picture of `picture` pixels.
   */
  analyze(
    pixels: Patch,
    picture: Extent,
    latents: Rect,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array>;

  /**
   * Analysis output of one chunk (height, width, latentChannels) -> its bytes. `hyper`: what to code as hyper
   * latents, instead of what hyper analysis makes of `analysis`.
   */
  encodeChunk(
    analysis: Int16Array,
    chunk: Extent,
    quality: number,
    hyper?: Int16Array,
    signal?: AbortSignal,
  ): Promise<EncodedChunk>;

  /**
   * Bytes of one chunk -> dequantized latents (height, width, latentChannels). Rejects with FormatError
   * (section `chunk`, offsets counted from the start of the chunk) for bytes that break chapter 2.
   */
  decodeChunk(bytes: Uint8Array, chunk: Extent, quality: number, signal?: AbortSignal): Promise<Int16Array>;

  /**
   * Spec 3.7: latents -> P over `sites`. `latents` covers at least `latentWindow(model, sites, level)` of a
   * level of `level` latents.
   */
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
   * Spec 4.3-4.7 in one: samples (rows.count, columns.count, 1 or 3 channels). `reducesAtOnce`
   * (pixels/reduce-at-once.ts) says how many grid pixels, those outside the picture included, a call may
   * have. Absent: callers ask for the grid's pixels and filter them with pixels/reduce.ts, to the same bytes.
   */
  reduce?(reduction: Reduction, signal?: AbortSignal): Promise<Uint8Array>;

  /**
   * For encoders, and not part of the specification: how an error of the decoder's pixels depends on the
   * latents of `latents`, the others being fixed.
   *
   *   coded     latents, covering at least `latentWindow(model, sites, level)` for the sites of `latents`
   *   pixels    the pixels whose error counts; they lie among those sites errorsOf  gets the samples of
   *   `pixels` (H,W,3), at native scale, 16 bits. Returns the error of each sample, or half the derivative of
   *   another measure by
   *             it: in the units of `analyze`, within -ERROR_LIMIT .. ERROR_LIMIT
   *
   * -> half the derivative by latents (latents.height, latents.width, latentChannels), in units of
   * `gradientNetwork(model).unit`.
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

  /**
   * For encoders, and not part of the specification: how the outputs of hyper synthesis or of a step of the
   * prior depend on what it reads.
   *
   *   input        what the network reads: (extent.height, extent.width, channels), as `backNetwork` says
   *   derivatives  of anything by the network's outputs, within -`backNetwork(...).limit` .. `limit`
   *
   * -> its derivatives by `input`, in units of `backNetwork(...).unit`. Rejects with UnsupportedError for a
   * network that has residuals.
   */
  backpropagate(
    network: ChunkNetwork,
    input: Int16Array,
    extent: Extent,
    derivatives: Int16Array,
    quality: number,
    signal?: AbortSignal,
  ): Promise<Int16Array>;

  /**
   * For benchmarks: the speed of plain kernels on the same device. Absent: the engine computes on the
   * processor's threads.
   */
  plainSpeed?(signal?: AbortSignal): Promise<PlainSpeed>;

  close(): Promise<void>;
}

/** How fast simple code is on a device, measured. */
export interface PlainSpeed {
  /**
   * Multiply-adds per second of a dense product, in 10^9. Where an engine uses matrices of bytes, four
   * multiply-adds of bytes count as one.
   */
  readonly gigaMacs: number;
  /** Bytes per second, read and written, of a copy, in 10^9. */
  readonly copyGigabytes: number;
}
