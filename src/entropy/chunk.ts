import type { ChunkRate, EncodedChunk, Extent } from '../engine/engine.ts';
import { groupAt } from '../network/channel-groups.ts';
import { hyperExtent, symbolCount } from '../network/chunk-size.ts';
import { clamp } from '../network/fixed-point.ts';
import type { Model } from '../network/model.ts';
import { cut, scaledExtent, whole } from '../network/window.ts';
import { dequantize } from '../quantize/quantize.ts';
import { codingTables } from './cdf-table.ts';
import { encodeSymbols, RansDecoder } from './rans.ts';
import { RoundingCoder } from './rounding-coder.ts';

/**
 * One chunk, symbols <-> bytes (spec 2.4, 3.6). The coding order is walked once for both directions:
 * `codeChunk` works out table index and mean of every symbol from what was coded before, and a `SymbolCoder`
 * reads the symbol or rounds to it.
 *
 * h, w = rows, columns of latents in the chunk; hz, wz those of hyper latents; Cy, Cz, Ch = channels of
 * latents, hyper latents, h.
 */

/**
 * The networks of one chunk. A chunk is the whole picture to them: zeros beyond. Synchronous, since coding
 * and networks alternate. A result is only read until the next call of the same object, so it may be a view
 * of memory that the next call overwrites.
 */
export interface ChunkNetworks {
  /** Latents (4*hz, 4*wz, Cy), zeros behind h and w -> (hz, wz, Cz). `extent`: 4*hz, 4*wz. Encoders only. */
  hyperAnalysis(y: Int16Array, extent: Extent, quality: number): Int16Array;
  /** Hyper latents (hz, wz, Cz) -> (4*hz, 4*wz, Ch). `extent`: hz, wz. */
  hyperSynthesis(z: Int16Array, extent: Extent, quality: number): Int16Array;
  /**
   * Mean and deviation, (h, w, Cy) each, of step 0..3 from h (h, w, Ch) and the latents so far (h, w, Cy).
   * Only the entries that the step codes are read (`groupAt`); the others may hold anything. `h` is what
   * hyperSynthesis gave, cropped, in all four steps; y is to be ignored in step 0.
   */
  prior(step: number, h: Int16Array, y: Int16Array, extent: Extent, quality: number): PriorOutput;
}

export interface PriorOutput {
  readonly mean: Int16Array;
  readonly deviation: Int16Array;
}

/** The same networks, where results are waited for. What they are given stays as it is until then. */
export type AsyncChunkNetworks = {
  readonly [Name in keyof ChunkNetworks]: (
    ...call: Parameters<ChunkNetworks[Name]>
  ) => Promise<ReturnType<ChunkNetworks[Name]>>;
};

/**
 * Bytes of a chunk -> latents (h, w, Cy). Rejects with FormatError, section `chunk`, on bytes that break
 * chapter 2.
 */
export function decodeChunk(
  bytes: Uint8Array,
  chunk: Extent,
  quality: number,
  model: Model,
  networks: ChunkNetworks | AsyncChunkNetworks,
): Promise<Int16Array> {
  return runAwaiting(decoding(bytes, chunk, quality, model, networks));
}

/**
 * Analysis output (h, w, Cy) of a chunk -> its bytes, the latents that a decoder gets from them, and what the
 * bits depend on. `hyper`: as for `Engine.encodeChunk`.
 */
export function encodeChunk(
  analysis: Int16Array,
  chunk: Extent,
  quality: number,
  model: Model,
  networks: ChunkNetworks,
  hyper?: Int16Array,
): EncodedChunk {
  return runAtOnce(encoding(analysis, chunk, quality, model, networks, hyper));
}

/** `encodeChunk` with networks whose results are waited for. */
export function encodeChunkAsync(
  analysis: Int16Array,
  chunk: Extent,
  quality: number,
  model: Model,
  networks: AsyncChunkNetworks,
  hyper?: Int16Array,
): Promise<EncodedChunk> {
  return runAwaiting(encoding(analysis, chunk, quality, model, networks, hyper));
}

/**
 * Work that stops at every network: it yields what the network gave, or a promise of it, and goes on with the
 * result.
 */
type Coding<T> = Generator<unknown, T, never>;

function* resultOf<T>(result: T | Promise<T>): Generator<T | Promise<T>, T, T> {
  return yield result;
}

function runAtOnce<T>(coding: Coding<T>): T {
  let stop = coding.next();
  while (!stop.done) stop = coding.next(stop.value as never);
  return stop.value;
}

async function runAwaiting<T>(coding: Coding<T>): Promise<T> {
  let stop = coding.next();
  while (!stop.done) stop = coding.next((await stop.value) as never);
  return stop.value;
}

function* decoding(
  bytes: Uint8Array,
  chunk: Extent,
  quality: number,
  model: Model,
  networks: ChunkNetworks | AsyncChunkNetworks,
): Coding<Int16Array> {
  const decoder = new RansDecoder(bytes, codingTables(model.tables), symbolCount(model, chunk));
  const read = ({ indices, symbols }: SymbolRun) => decoder.decode(indices, symbols.length, symbols);
  const coder = { codeHyper: read, codeLatents: read };
  const { latents } = yield* codeChunk(chunk, quality, model, networks, coder);
  decoder.finish();
  return latents;
}

function* encoding(
  analysis: Int16Array,
  chunk: Extent,
  quality: number,
  model: Model,
  networks: ChunkNetworks | AsyncChunkNetworks,
  given: Int16Array | undefined,
): Coding<EncodedChunk> {
  const hyper = given ?? (yield* hyperAnalysis(analysis, chunk, quality, model, networks));
  const coder = new RoundingCoder(analysis, hyper, symbolCount(model, chunk), quality, model);
  const { latents, hyperLatents, context } = yield* codeChunk(chunk, quality, model, networks, coder);
  const { slopes, tableSlopes, hyperSlopes } = coder;
  return {
    bytes: encodeSymbols(coder.tables, coder.indices, coder.symbols),
    latents,
    rate: { slopes, tableSlopes, hyperSlopes, hyper, hyperLatents, context },
  };
}

/** A copy of what hyper analysis makes of an analysis output. */
function* hyperAnalysis(
  analysis: Int16Array,
  chunk: Extent,
  quality: number,
  model: Model,
  networks: ChunkNetworks | AsyncChunkNetworks,
): Coding<Int16Array> {
  const { height, width } = hyperExtent(model, chunk);
  const padded = scaledExtent({ height, width }, model.hyperStride);
  const y = cut(analysis, whole(chunk), whole(padded), model.latentChannels);
  const hyper = yield* resultOf(networks.hyperAnalysis(y, padded, quality));
  return hyper.slice(0, height * width * model.hyperChannels);
}

/** A row of symbols that are coded one after the other. The arrays are used again for the next row. */
export interface SymbolRun {
  /** Table of each symbol. */
  readonly indices: Uint8Array;
  /** Symbols: filled in by who reads them, or chooses them. */
  readonly symbols: Int16Array;
}

/** A row of the hyper latents: columns, then channels. */
export interface HyperRun extends SymbolRun {
  readonly row: number;
}

/** A row of one step's latents: columns, then the channels of the position's group. */
export interface LatentRun extends SymbolRun {
  readonly mean: Int16Array;
  /** For each column, index in (h, w, Cy) of its first channel. */
  readonly from: Int32Array;
  /** For each column, the first channel of its group. */
  readonly channel: Int32Array;
}

export interface SymbolCoder {
  codeHyper(run: HyperRun): void;
  codeLatents(run: LatentRun): void;
}

/** What a chunk is decoded to, on the way and in the end. */
interface CodedChunk extends Pick<ChunkRate, 'hyperLatents' | 'context'> {
  readonly latents: Int16Array;
}

/** The coding order of spec 2.4, in either direction. */
function* codeChunk(
  chunk: Extent,
  quality: number,
  model: Model,
  networks: ChunkNetworks | AsyncChunkNetworks,
  coder: SymbolCoder,
): Coding<CodedChunk> {
  const hyper = hyperExtent(model, chunk);
  const hyperLatents = codeHyper(hyper, quality, model, coder);
  const padded = whole(scaledExtent(hyper, model.hyperStride));
  const synthesized = yield* resultOf(networks.hyperSynthesis(hyperLatents, hyper, quality));
  const context = cut(synthesized, padded, whole(chunk), model.priorChannels);
  const y = new Int16Array(chunk.height * chunk.width * model.latentChannels);
  for (let step = 0; step < model.prior.length; step++) {
    const output = yield* resultOf(networks.prior(step, context, y, chunk, quality));
    codeStep(step, output, y, chunk, quality, model, coder);
  }
  return { latents: y, hyperLatents, context };
}

/** Spec 3.6, item 1: the hyper latents of a chunk. */
export function codeHyper(
  { height, width }: Extent,
  quality: number,
  model: Model,
  coder: Pick<SymbolCoder, 'codeHyper'>,
): Int16Array {
  const { hyperChannels } = model;
  const { table, step, offset, stepBits, limit } = model.hyper;
  const first = (quality - 1) * hyperChannels;
  const count = width * hyperChannels;
  const z = new Int16Array(height * count);
  const indices = new Uint8Array(count);
  for (let i = 0; i < count; i++) indices[i] = table[first + (i % hyperChannels)]!;
  const symbols = new Int16Array(count);
  const half = 1 << (stepBits - 1);
  for (let row = 0; row < height; row++) {
    coder.codeHyper({ row, indices, symbols });
    for (let i = 0; i < count; i++) {
      const at = first + (i % hyperChannels);
      z[row * count + i] = clamp((symbols[i]! * step[at]! + offset[at]! + half) >> stepBits, limit);
    }
  }
  return z;
}

/** Spec 3.6, item 3: fills in the latents of one step. */
function codeStep(
  step: number,
  { mean, deviation }: PriorOutput,
  y: Int16Array,
  { height, width }: Extent,
  quality: number,
  model: Model,
  coder: SymbolCoder,
): void {
  const { latentChannels, latent } = model;
  const { deviationOffset, deviationShift, step: steps, stepBits, limit } = latent;
  const group = latentChannels / 4;
  const quantizer = (quality - 1) * latentChannels;
  const lastTable = model.tables.count - 1;
  const indices = new Uint8Array(width * group);
  const symbols = new Int16Array(width * group);
  const from = new Int32Array(width);
  const channel = new Int32Array(width);
  for (let row = 0; row < height; row++) {
    for (let column = 0, i = 0; column < width; column++) {
      const c = groupAt(step, row, column) * group;
      const at = (row * width + column) * latentChannels + c;
      channel[column] = c;
      from[column] = at;
      for (let k = 0; k < group; k++, i++) {
        const index = (deviation[at + k]! + deviationOffset[quantizer + c + k]!) >> deviationShift;
        indices[i] = Math.max(0, Math.min(lastTable, index));
      }
    }
    coder.codeLatents({ indices, symbols, mean, from, channel });
    for (let column = 0, i = 0; column < width; column++) {
      const at = from[column]!;
      const first = quantizer + channel[column]!;
      for (let k = 0; k < group; k++, i++) {
        y[at + k] = clamp(mean[at + k]! + dequantize(symbols[i]!, steps[first + k]!, stepBits), limit);
      }
    }
  }
}
