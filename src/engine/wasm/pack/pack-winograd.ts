import type { Conv } from '../../../network/model.ts';
import type { WasmHeap } from '../heap.ts';

/** A 3x3 convolution for the kernel `winograd` (kernels/winograd.ts says why it is exact). */
export interface PackedWinograd {
  readonly weight: number;
  /**
   * The kernel may make tiles whose sum of squares / 64, as it counts it, is at most this: their accumulators
   * are below 2^29.
   */
  readonly energyLimit: number;
}

/** Scratch memory of a thread, as kernels/winograd.ts divides it. */
export const SCRATCH_BYTES = 16 * (16 * (1024 + 32) + 64);

const MAX_INPUTS = 512;
/** Largest activation: sums of four fit int16. */
const MAX_INPUT = 8191;
const MAX_WEIGHT = 32767;
const ACCUMULATOR = 2 ** 29 - 1;

/**
 * Transforms the filters of a convolution and copies them into wasm memory. `direct`: address of its weights
 * as `packConv` lays them out. `input`: largest activation that it reads. Undefined if it is no 3x3
 * convolution, or its numbers are too large for the method.
 */
export function packWinograd(
  conv: Conv,
  direct: number,
  input: number,
  heap: WasmHeap,
): PackedWinograd | undefined {
  const { kernel, inputs, outputs } = conv;
  if (kernel !== 3 || inputs % 8 !== 0 || inputs > MAX_INPUTS || input > MAX_INPUT) return undefined;
  const energyLimit = energyLimitOf(conv);
  if (energyLimit <= 0) return undefined;
  const weight = heap.allocate(outputs * inputs * 32);
  const { buffer } = heap.memory;
  const filters = new Int16Array(buffer, direct, outputs * inputs * 9);
  if (transform(filters, new Int16Array(buffer, weight, outputs * inputs * 16), 8 * inputs))
    return { weight, energyLimit };
  heap.free(weight);
  return undefined;
}

/**
 * |accumulator| <= |bias| + rounding + |w| |d| (Cauchy and Schwarz), for the largest bias and the largest |w| of any output.
 */
function energyLimitOf({ bias, shift, weight, inputs, outputs }: Conv): number {
  let largest = 0;
  for (const value of bias) largest = Math.max(largest, Math.abs(value));
  const length = 9 * inputs;
  let squares = 1;
  for (let o = 0; o < outputs; o++) {
    let sum = 0;
    for (let i = o * length; i < (o + 1) * length; i++) sum += weight[i]! * weight[i]!;
    squares = Math.max(squares, sum);
  }
  // The kernel shifts by `shift + 2`. That is at most 31, since with a shift of 30 nothing is left here.
  const left = Math.max(0, ACCUMULATOR - largest - (1 << shift));
  // The kernel rounds down: it loses less than 1 in each of four lanes, for each of 16 activations, for every
  // eight channels.
  return Math.min(2 ** 31 - 1, Math.floor(left ** 2 / squares / 64) - 8 * inputs);
}

/**
 * Writes (2G) g (2G)' of filters g. Their 9 values lie `pitch` apart, the 16 results too. False if one does
 * not fit int16.
 */
function transform(filters: Int16Array, to: Int16Array, pitch: number): boolean {
  const rows = new Int32Array(12 * pitch);
  let largest = 0;
  for (let from = 0, at = 0; from < filters.length; from += 9 * pitch) {
    for (let x = 0; x < 3; x++) double(filters, from + x * pitch, 3 * pitch, rows, x * pitch, pitch);
    for (let y = 0; y < 12; y += 3, at += 4 * pitch)
      largest = Math.max(largest, double(rows, y * pitch, pitch, to, at, pitch));
  }
  return largest <= MAX_WEIGHT;
}

type Integers = Int16Array | Int32Array;

/**
 * Multiplies `count` vectors of three values, `step` apart, by 2G, to vectors of four as far apart. Returns
 * the largest magnitude.
 */
function double(
  from: Integers,
  at: number,
  step: number,
  to: Integers,
  first: number,
  count: number,
): number {
  let largest = 0;
  for (let i = first; i < first + count; i++, at++) {
    const a = from[at]!;
    const b = from[at + step]!;
    const c = from[at + 2 * step]!;
    to[i] = 2 * a;
    to[i + step] = a + b + c;
    to[i + 2 * step] = a - b + c;
    to[i + 3 * step] = 2 * c;
    largest = Math.max(largest, Math.abs(2 * a), Math.abs(a + c) + Math.abs(b), Math.abs(2 * c));
  }
  return largest;
}
