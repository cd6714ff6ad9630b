import { type Tensor, type Tensor4D, type TensorFlow, withGradient } from '../tensorflow.ts';

/**
 * Operations with gradients that TensorFlow.js lacks. Tensors are (B,H,W,C): pictures of a batch, rows,
 * columns, channels.
 */
export interface Differentiable {
  /** Convolution of stride 1, zeros outside: input (B,H,W,I), filter (k,k,I,O) -> (B,H,W,O). */
  conv(input: Tensor4D, filter: Tensor4D): Tensor4D;
  /** Spec 3.3: (B,H,W,C) -> (B,H/k,W/k,k*k*C). */
  unshuffle(input: Tensor4D, factor: number): Tensor4D;
  /** Spec 3.3: (B,H,W,k*k*C) -> (B,H*k,W*k,C). */
  shuffle(input: Tensor4D, factor: number): Tensor4D;
  /** The nearest integer. Its gradient is that of the identity ("straight through"). */
  round(values: Tensor): Tensor;
  /**
   * max(values, floor). Below the floor only gradients pass that raise the value, so that it can come back.
   */
  lowerBound(values: Tensor, floor: number): Tensor;
  /** max(v, v/8), spec 3.1. */
  leaky(values: Tensor): Tensor;
  /** Clamps to -limit..limit. Its gradient is that of the identity, so that values beyond can come back. */
  clamp(values: Tensor, limit: number): Tensor;
}

const LEAK = 1 / 8;

/**
 * `convGradients`: whether the backend has kernels for the gradients of a convolution. Without them the
 * gradients are made of convolutions.
 */
export function differentiable(tf: TensorFlow, convGradients: boolean): Differentiable {
  const straightThrough = (of: (values: Tensor) => Tensor) =>
    tf.customGrad((x) => ({ value: of(x as Tensor), gradFunc: (dy: Tensor) => dy }));
  const round = straightThrough((values) => tf.round(values));
  return {
    conv(input, filter) {
      if (convGradients) return tf.conv2d(input, filter, 1, 'same');
      return convWithOwnGradients(tf, input, filter);
    },
    unshuffle(input, factor) {
      const [batch, height, width, channels] = input.shape;
      const [rows, columns] = [height / factor, width / factor];
      const split = tf.reshape(input, [batch, rows, factor, columns, factor, channels]);
      const ordered = tf.transpose(split, [0, 1, 3, 2, 4, 5]);
      return tf.reshape(ordered, [batch, rows, columns, factor * factor * channels]);
    },
    shuffle(input, factor) {
      const [batch, height, width, channels] = input.shape;
      const outputs = channels / factor ** 2;
      const split = tf.reshape(input, [batch, height, width, factor, factor, outputs]);
      const ordered = tf.transpose(split, [0, 1, 3, 2, 4, 5]);
      return tf.reshape(ordered, [batch, height * factor, width * factor, outputs]);
    },
    round: (values) => round(values),
    lowerBound: (values, floor) =>
      withGradient(
        tf,
        (input: Tensor) => tf.maximum(input, floor),
        (dy, input) =>
          tf.where(tf.logicalOr(tf.greaterEqual(input, floor), tf.less(dy, 0)), dy, tf.zerosLike(dy)),
      )(values),
    leaky: (values) => tf.leakyRelu(values, LEAK),
    clamp: (values, limit) => straightThrough((v) => tf.clipByValue(v, -limit, limit))(values),
  };
}

/**
 * A convolution whose gradients are convolutions, too. That of the input is dy with the filter turned by 180
 * degrees. That of the filter is the padded input with dy as a filter of the picture's size, where channels
 * take the place of the batch.
 */
function convWithOwnGradients(tf: TensorFlow, input: Tensor4D, filter: Tensor4D): Tensor4D {
  const conv = withGradient(
    tf,
    (values: Tensor4D, kernel: Tensor4D) => tf.conv2d(values, kernel, 1, 'same'),
    (dy, values, kernel) => {
      const radius = (kernel.shape[0] - 1) / 2;
      const turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]);
      const beyond: [number, number] = [radius, radius];
      const padded = tf.pad(values, [[0, 0], beyond, beyond, [0, 0]]);
      const byChannel = tf.transpose(padded, [3, 1, 2, 0]);
      const asFilter = tf.transpose(dy, [1, 2, 0, 3]);
      const ofFilter = tf.conv2d(byChannel, asFilter, 1, 'valid');
      return [tf.conv2d(dy, turned, 1, 'same'), tf.transpose(ofFilter, [1, 2, 0, 3])];
    },
  );
  return conv(input, filter);
}
