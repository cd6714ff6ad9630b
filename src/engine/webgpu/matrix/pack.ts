import type { Conv } from '../../../network/model.ts';
import type { MatrixShape } from './shape.ts';

/** Outputs that a workgroup makes, and channels of a tap: the constants of the kernels. */
const OUTPUTS = 32;
const CHANNELS = 32;

export interface PackedConv {
  /** [32 outputs][slice][tap][step of K channels][N outputs][high, low][output][channel], a byte each, zeros where a slice or block is not full. */
  readonly weights: Int8Array;
  readonly bias: Int32Array;
}

/** Whether it is for the kernel of matrix-tap-pairs.wgsl. */
export function tapsInPairs({ kernel, inputs }: Conv): boolean {
  return kernel === 3 && inputs <= CHANNELS / 2;
}

/**
 * A convolution as matrix.wgsl reads it. A weight is 256 h + l with both of -128 to 127; undefined where there is one beyond 32639, of which h would be
 * 128. The kernel takes 128 off the low byte of every input, also of those outside the picture, so the bias has 128 times the sum of the weights.
 */
export function packMatrices(conv: Conv, { N, K }: MatrixShape): PackedConv | undefined {
  const { kernel, inputs, outputs, weight, bias, biasRows } = conv;
  const pairs = tapsInPairs(conv);
  const taps = pairs ? 6 : kernel * kernel;
  const slices = Math.ceil(inputs / CHANNELS);
  const blocks = Math.ceil(outputs / OUTPUTS);
  const weights = new Int8Array(blocks * slices * taps * CHANNELS * OUTPUTS * 2);
  const sums = new Float64Array(outputs);
  for (let o = 0, from = 0; o < outputs; o++) {
    for (let ky = 0; ky < kernel; ky++) {
      for (let kx = 0; kx < kernel; kx++) {
        const tap = pairs ? 2 * ky + (kx >> 1) : kernel * ky + kx;
        for (let i = 0; i < inputs; i++, from++) {
          const value = weight[from]!;
          const low = (value << 24) >> 24;
          const high = (value - low) >> 8;
          if (high > 127) return undefined;
          sums[o]! += value;
          const channel = pairs ? (kx % 2) * (CHANNELS / 2) + i : i % CHANNELS;
          const slice = Math.floor(o / OUTPUTS) * slices + Math.floor(i / CHANNELS);
          const step = ((slice * taps + tap) * CHANNELS + channel - (channel % K)) / K;
          const matrices = (step * OUTPUTS + (o % OUTPUTS) - (o % N)) / N;
          const at = matrices * 2 * N * K + (o % N) * K + (channel % K);
          weights[at] = high;
          weights[at + N * K] = low;
        }
      }
    }
  }
  const biases = new Int32Array(biasRows * outputs);
  // What does not fit wraps around, as the sums of the kernel do; in the end all of it fits.
  for (let i = 0; i < biases.length; i++) biases[i] = (bias[i]! + 128 * sums[i % outputs]!) | 0;
  return { weights, bias: biases };
}
