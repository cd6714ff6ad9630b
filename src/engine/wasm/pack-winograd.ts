import type { Conv } from '../../network/model.ts';
import type { WasmHeap } from './heap.ts';

/** A 3x3 convolution for the kernel `winograd`. */
export interface PackedWinograd {
  readonly weight: number;
  /** Most that 1/64 of a tile's sum of squares may be, lane by lane rounded down, for its accumulators to stay below 2^29. */
  readonly energyLimit: number;
}

/** Scratch memory of a thread, as kernels/winograd.ts divides it. */
export const SCRATCH_BYTES = 16 * 16 * (1024 + 32);

const MAX_INPUTS = 512;
/** Of activations, so that sums of four fit int16. */
const MAX_INPUT = 8191;
const MAX_WEIGHT = 32767;
/** The kernel shifts by two bits more. */
const MAX_SHIFT = 29;
const ACCUMULATOR = 2 ** 29 - 1;

/** `input`: largest activation that the convolution reads. Undefined where its numbers are too large for the method. */
export function packWinograd(conv: Conv, input: number, heap: WasmHeap): PackedWinograd | undefined {
  const { kernel, inputs, outputs, shift } = conv;
  if (kernel !== 3 || inputs % 8 !== 0 || inputs > MAX_INPUTS) return undefined;
  if (input > MAX_INPUT || shift > MAX_SHIFT) return undefined;
  const energyLimit = energyLimitOf(conv);
  const filters = energyLimit > 0 && transformed(conv);
  if (!filters) return undefined;
  const weight = heap.allocate(filters.byteLength);
  const packed = new Int16Array(heap.memory.buffer, weight, filters.length);
  const half = 8 * inputs;
  for (let o = 0, from = 0; o < outputs; o++) {
    let at = (o >> 3) * half * 16 + (o & 7) * 2;
    for (const end = from + 16 * inputs; from < end; from += 2, at += 16) {
      packed[at] = filters[from]!;
      packed[at + 1] = filters[from + 1]!;
    }
  }
  return { weight, energyLimit };
}

/** By Cauchy and Schwarz: |sum of w d| <= |w| |d|. */
function energyLimitOf({ bias, shift, weight, inputs, outputs }: Conv): number {
  let largest = 0;
  for (const value of bias) largest = Math.max(largest, Math.abs(value));
  const length = 9 * inputs;
  let squares = 1;
  for (let o = 0; o < outputs; o++) {
    let sum = 0;
    for (let i = o * length; i < (o + 1) * length; i++) sum += weight[i]! ** 2;
    squares = Math.max(squares, sum);
  }
  const left = Math.max(0, ACCUMULATOR - largest - (1 << shift));
  // What rounding down loses is less than 1 for each of four lanes of the 16 activations of eight channels.
  return Math.min(2 ** 31 - 1, Math.floor(left ** 2 / squares / 64) - 8 * inputs);
}

/** (2G) g (2G)' of the filters: [outputs][16][inputs]. Undefined where one does not fit int16. */
function transformed({ weight, inputs, outputs }: Conv): Int16Array | undefined {
  const result = new Int16Array(outputs * 16 * inputs);
  const rows = new Int32Array(4 * 3);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let x = 0; x < 3; x++) {
        const from = (o * 9 + x) * inputs + i;
        doubled(weight[from]!, weight[from + 3 * inputs]!, weight[from + 6 * inputs]!, rows, x, 3);
      }
      for (let y = 0; y < 4; y++) {
        doubled(rows[3 * y]!, rows[3 * y + 1]!, rows[3 * y + 2]!, line, 0, 1);
        for (let x = 0; x < 4; x++) {
          if (Math.abs(line[x]!) > MAX_WEIGHT) return undefined;
          result[(o * 16 + 4 * y + x) * inputs + i] = line[x]!;
        }
      }
    }
  }
  return result;
}

const line = new Int32Array(4);

/** 2G of three values. */
function doubled(a: number, b: number, c: number, to: Int32Array, at: number, pitch: number): void {
  to[at] = 2 * a;
  to[at + pitch] = a + b + c;
  to[at + 2 * pitch] = a - b + c;
  to[at + 3 * pitch] = 2 * c;
}
