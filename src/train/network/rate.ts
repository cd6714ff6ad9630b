import type { Tensor, TensorFlow } from '../tensorflow.ts';
import type { Differentiable } from './differentiable.ts';

/** Bounds of the standard deviations that training uses, log2 of quantization steps. */
export const SMALLEST_DEVIATION = Math.log2(0.11);
const LARGEST_DEVIATION = Math.log2(3000);
/** A symbol costs at most 20 bits. */
const LEAST_PROBABILITY = 2 ** -20;

/**
 * Bits of symbols, the differentiable stand-in for CDF tables: -log2 of the probability that a normal
 * distribution gives to the interval of one step around a symbol. `difference`: of the symbols from their
 * mean, in steps. `deviation`: log2 of the standard deviation in steps. Both and the result have one shape.
 */
export function gaussianBits(
  tf: TensorFlow,
  ops: Differentiable,
  difference: Tensor,
  deviation: Tensor,
): Tensor {
  const bounded = tf.minimum(ops.lowerBound(deviation, SMALLEST_DEVIATION), LARGEST_DEVIATION);
  const inverse = tf.exp(tf.mul(bounded, -Math.LN2));
  const distance = tf.abs(difference);
  const upper = normalCdf(tf, tf.mul(tf.sub(0.5, distance), inverse));
  const lower = normalCdf(tf, tf.mul(tf.sub(-0.5, distance), inverse));
  const probability = ops.lowerBound(tf.sub(upper, lower), LEAST_PROBABILITY);
  return tf.mul(tf.log(probability), -1 / Math.LN2);
}

function normalCdf(tf: TensorFlow, x: Tensor): Tensor {
  return tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
}
