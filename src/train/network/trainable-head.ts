import type { Head } from '../../network/model.ts';
import type { EnlargedWindow } from '../enlargement.ts';
import type { Tensor, Tensor4D, TensorFlow, Variable } from '../tensorflow.ts';
import type { Exponents } from './exponents.ts';
import { zeroVariable } from './trainable-layers.ts';

/**
 * The head in floats (spec 4.3 to 4.5). Only its last layer is trained. Samples are 0..255, neither rounded
 * nor clamped.
 *
 * B = pictures of a batch, H, W = rows, columns of features, n, m = rows, columns of a window, K = hidden
 * units.
 */
export interface TrainableHead {
  /** Features (B,H,W,K) -> samples at native scale (B,H,W,3). */
  native(features: Tensor4D): Tensor4D;
  /** Features (B,H,W,K) -> samples of a window of an enlargement (B,n,m,3). */
  enlarged(features: Tensor4D, window: EnlargedWindow): Tensor4D;
  /** The last layer as it is now, over 2^outputShift: (3,K) and (3). */
  output(): { weight: Tensor; bias: Tensor };
  readonly variables: readonly Variable[];
  dispose(): void;
}

/** Levels in one unit of the floats that the network was trained as. */
const LEVELS = 255;
/** Exponent of P where the model does not say. */
const TYPICAL_EXPONENT = 10;

/** `exponents`: of the convolution that makes the features P. */
export function trainableHead(tf: TensorFlow, head: Head, { output: exponent }: Exponents): TrainableHead {
  const outputScale = 2 ** -head.outputShift;
  const outputWeight = tf.tensor(Float32Array.from(head.outputWeight), [3, head.hidden]);
  const outputBias = tf.tensor(Float32Array.from(head.outputBias), [3]);
  const outputUnit =
    LEVELS * 2 ** (head.outputShift - (Number.isNaN(exponent) ? TYPICAL_EXPONENT : exponent));
  const outputWeightDelta = zeroVariable(tf, [3, head.hidden]);
  const outputBiasDelta = zeroVariable(tf, [3]);

  function output(): { weight: Tensor; bias: Tensor } {
    const weight = tf.add(outputWeight, tf.mul(outputWeightDelta, outputUnit));
    const bias = tf.add(outputBias, tf.mul(outputBiasDelta, LEVELS * 2 ** head.outputShift));
    return { weight: tf.mul(weight, outputScale), bias: tf.mul(bias, outputScale) };
  }

  /** Hidden vectors (B,n,m,K) -> samples (B,n,m,3). */
  function colors(hidden: Tensor): Tensor4D {
    const { weight, bias } = output();
    const [batch, height, width] = hidden.shape as [number, number, number];
    const flat = tf.reshape(hidden, [batch * height * width, head.hidden]);
    const samples = tf.add(tf.matMul(flat, weight, false, true), bias);
    return tf.reshape(samples, [batch, height, width, 3]);
  }

  /**
   * The share of the cell in the head's first layer, (K), for an output pixel of `size` x `size` sites: spec
   * 4.4.
   */
  function cellTerm(size: number): Tensor {
    const scale = (size * 2 ** 12) / 2 ** head.cellShift;
    return tf.tensor1d(
      Float32Array.from(head.cellRowWeight, (w, k) => (w + head.cellColumnWeight[k]!) * scale),
    );
  }

  return {
    native: (features) => colors(tf.relu(tf.add(features, cellTerm(1)))),
    enlarged: (features, window) =>
      colors(window.blend(features, cellTerm(window.cell), head.rowWeight, head.columnWeight)),
    output: () => tf.tidy(output),
    variables: [outputWeightDelta, outputBiasDelta],
    dispose() {
      for (const tensor of [outputWeight, outputBias, outputWeightDelta, outputBiasDelta]) tensor.dispose();
    },
  };
}
