import { distortionWeight, LOWEST_WEIGHT } from '../network/distortion-weight.ts';
import type { Model } from '../network/model.ts';
import { enlargedWindow } from './enlargement.ts';
import type { Differentiable } from './network/differentiable.ts';
import type { TrainableNetwork } from './network/trainable-network.ts';
import { frameWeights, pictureError, structureShare } from './picture-error.ts';
import type { Batch } from './pictures/batches.ts';
import type { Tensor, Tensor4D, TensorFlow } from './tensorflow.ts';

/**
 * The loss of a picture is divided by (lambda / lowest lambda) to this power, so that high qualities do not
 * drown low ones.
 */
const BALANCING_POWER = 0.35;
/**
 * Weight of the logarithm of an enlargement's error: bits per pixel that a reduction of the error by a factor
 * of e is worth. The error itself is a hundred times that at native scale, more for text, and cannot become
 * small. Multiplied by lambda it would outweigh all else.
 */
const ENLARGEMENT_WEIGHT = 0.3;

const MIDDLE_GRAY = 255 / 2;

export interface BatchLoss {
  /** Scalar: what is minimized. */
  readonly loss: Tensor;
  /** Means over the batch: bits per pixel, and squared error in 8-bit units. */
  readonly bitsPerPixel: Tensor;
  readonly squaredError: Tensor;
}

/**
 * The rate-distortion loss of a batch: the mean over its pictures of
 *
 *     weight * (bits per pixel + lambda * error)                 at native scale
 *     weight * (bits per pixel + ENLARGEMENT_WEIGHT * log(1 + error))   for an enlargement
 *
 * lambda is `distortionWeight` of the picture's quality, weight is lambda^-BALANCING_POWER in units of the
 * lowest lambda, and error is `pictureError`.
 */
export function batchLoss(
  tf: TensorFlow,
  ops: Differentiable,
  network: TrainableNetwork,
  { qualities }: Model,
  batch: Batch,
): BatchLoss {
  const { count, side, enlarged, noiseSeed } = batch;
  const pictures = tf.tensor4d(batch.pictures, [count, side, side, 3]);
  const quality = tf.tensor1d(batch.quality, 'int32');
  const { latents, bits } = network.entropy.estimate(network.analyze(pictures, quality), quality, noiseSeed);
  const rate = tf.mul(bits, 1 / side ** 2);

  const features = network.features(latents, quality);
  const samples = enlarged
    ? network.head.enlarged(features, enlargedWindow(tf, enlarged.place))
    : network.head.native(features);
  // Decoders clamp, so samples beyond black and white are no error. Without the clamp white paper came out a
  // little gray.
  const shown = tf.add(ops.clamp(tf.sub(samples, MIDDLE_GRAY), MIDDLE_GRAY), MIDDLE_GRAY) as Tensor4D;
  const wanted = enlarged?.target ?? batch.pictures;
  const shares = Array.from(batch.quality, (q) => structureShare(q + 1, qualities));
  const pixelWeights = enlarged ? new Float32Array(enlarged.place.size ** 2).fill(1) : frameWeights(side);
  const error = pictureError(tf, shown, wanted, shares, pixelWeights);

  const lambda = Float32Array.from(batch.quality, (q) => distortionWeight(q + 1, qualities));
  const distortion = enlarged
    ? tf.mul(tf.log1p(error), ENLARGEMENT_WEIGHT)
    : tf.mul(error, tf.tensor1d(lambda));
  const weight = tf.tensor1d(lambda.map((l) => (l / LOWEST_WEIGHT) ** -BALANCING_POWER));
  return {
    loss: tf.mean(tf.mul(tf.add(rate, distortion), weight)),
    bitsPerPixel: tf.mean(rate),
    squaredError: tf.mean(tf.squaredDifference(shown, tf.tensor4d(wanted, shown.shape))),
  };
}
