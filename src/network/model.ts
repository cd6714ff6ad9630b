/**
 * Integer networks as data (specification, chapter 3). `load.ts` makes a `Model`: it has checked every field
 * and proved that no accumulator can overflow, so code that receives a model checks nothing.
 *
 * Tensors are (rows, columns, channels), channels fastest. Activations are int16, accumulators int32.
 */

/** Stride 1, zeros outside; weight [outputs][kernel][kernel][inputs], bias [biasRows][outputs]. Spec 3.3. */
export interface Conv {
  readonly op: 'conv';
  readonly kernel: 1 | 3;
  readonly inputs: number;
  readonly outputs: number;
  readonly weight: Int16Array;
  readonly bias: Int32Array;
  /** 1, or the number of qualities: row `quality - 1` is used. */
  readonly biasRows: number;
  readonly shift: number;
  /** Outputs are clamped to -limit .. limit. */
  readonly limit: number;
  readonly leaky: boolean;
}

/** clamp(in + second(first(in))). */
export interface Residual {
  readonly op: 'residual';
  readonly first: Conv;
  readonly second: Conv;
  readonly limit: number;
}

/** (H,W,C) -> (H/k,W/k,k*k*C), channel (dy*k + dx)*C + c. */
export interface Unshuffle {
  readonly op: 'unshuffle';
  readonly factor: 2 | 4;
}

/** (H,W,k*k*C) -> (H*k,W*k,C), the inverse of unshuffle. */
export interface Shuffle {
  readonly op: 'shuffle';
  readonly factor: 2 | 4;
}

/** clamp(in + row[quality - 1][c]); row [qualities][channels]. */
export interface Row {
  readonly op: 'row';
  readonly row: Int32Array;
  readonly channels: number;
  readonly limit: number;
}

export type Layer = Conv | Residual | Unshuffle | Shuffle | Row;

/** One of the four steps of the prior. Spec 3.6. */
export interface PriorStep {
  readonly trunk: readonly Layer[];
  readonly mean: Conv;
  readonly deviation: Conv;
}

/** Dequantization of latents: tables are [qualities][latentChannels]. Spec 3.6. */
export interface LatentQuantizer {
  readonly limit: number;
  readonly stepBits: number;
  readonly step: Int32Array;
  readonly deviationShift: number;
  readonly deviationOffset: Int32Array;
}

/** Dequantization of hyper latents: tables are [qualities][hyperChannels]. Spec 3.6. */
export interface HyperQuantizer {
  readonly limit: number;
  readonly stepBits: number;
  readonly step: Int32Array;
  readonly offset: Int32Array;
  /** CDF table of each channel. */
  readonly table: Int16Array;
}

/**
 * Spec 3.9. Table i has the frequencies start[i] .. start[i+1]-1. A table without frequencies is empty: its
 * symbol is 0 and not coded.
 */
export interface CdfTables {
  readonly count: number;
  /** log2 of the sum of a table's frequencies. */
  readonly precision: number;
  readonly start: Int32Array;
  readonly frequency: Int16Array;
  readonly minimum: Int16Array;
  readonly rawBits: Int16Array;
}

/** The LIIF head. Spec 4.4, 4.5. */
export interface Head {
  readonly hidden: number;
  readonly limit: number;
  readonly rowWeight: Int16Array;
  readonly columnWeight: Int16Array;
  readonly cellRowWeight: Int16Array;
  readonly cellColumnWeight: Int16Array;
  readonly cellShift: number;
  /** [3][hidden] */
  readonly outputWeight: Int16Array;
  readonly outputBias: Int32Array;
  readonly outputShift: number;
}

/**
 * The networks and tables of a model file. Programs get it from `readModel` or `loadModel` and pass it on as
 * it is.
 */
export interface Model {
  /** E.g. `liif-1`: lower-case letters, digits, dots and hyphens. */
  readonly name: string;
  /** SHA-256 in lower-case hexadecimal (spec 3.2), by which files name their model. */
  readonly hash: string;
  /** Qualities that the model knows: 100. */
  readonly qualities: number;
  /** Picture pixels per latent: 16. */
  readonly latentStride: number;
  /** Latents per hyper latent: 4. */
  readonly hyperStride: number;
  readonly latentChannels: number;
  readonly hyperChannels: number;
  /** Channels of h, the output of hyperSynthesis. */
  readonly priorChannels: number;
  /** Sets the range of the samples that analysis reads: spec 3.4. */
  readonly imageShift: number;
  readonly analysis: readonly Layer[];
  readonly hyperAnalysis: readonly Layer[];
  readonly hyperSynthesis: readonly Layer[];
  readonly prior: readonly PriorStep[];
  readonly synthesis: readonly Layer[];
  readonly latent: LatentQuantizer;
  readonly hyper: HyperQuantizer;
  readonly tables: CdfTables;
  readonly head: Head;
}
