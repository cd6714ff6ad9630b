import type { Conv } from '../../../network/model.ts';
import type { MatrixShape } from './shape.ts';

/** Constants of the kernels: outputs of a workgroup, and channels of a tap. */
const OUTPUTS = 32;
const CHANNELS = 32;

export interface PackedConv {
  /**
   * [outputs / 32][slice][tap][32 / K steps][32 / N][high, low][N outputs][K channels], a byte each, zeros
   * where a slice or block is not full.
   */
  readonly weights: Int8Array;
  readonly bias: Int32Array;
}

/** Whether a convolution is made by the kernel with matrix-tap-pairs.wgsl. */
export function tapsInPairs({ kernel, inputs }: Conv): boolean {
  return kernel === 3 && inputs <= CHANNELS / 2;
}

/**
 * A convolution as matrix.wgsl reads it. A weight is 256 h + l, with h and l in -128 .. 127. Undefined if a
 * weight is above 32639: its h would be 128. The kernel takes 128 off the low byte of every input, outside
 * the picture too, so 128 times the sum of an output's weights is added to its bias.
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
  // A bias may wrap around int32, as the kernel's sums do; the final sum fits.
  for (let i = 0; i < biases.length; i++) biases[i] = (bias[i]! + 128 * sums[i % outputs]!) | 0;
  return { weights, bias: biases };
}
