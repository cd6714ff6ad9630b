import { distortionWeight, LOWEST_WEIGHT } from '../network/distortion-weight.ts';
import type { Model } from '../network/model.ts';
import type { Batch } from './batches.ts';
import type { Differentiable } from './differentiable.ts';
import { enlargedWindow } from './enlargement.ts';
import { frameWeights, pictureError, structureShare } from './picture-error.ts';
import type { Tensor, Tensor4D, TensorFlow } from './tensorflow.ts';
import type { TrainableNetwork } from './trainable-network.ts';

/** Losses are divided by (lambda / lowest lambda) to this power, so that high qualities do not drown low ones. */
const FLATTENING = 0.35;
/**
 * Bits a pixel that an enlargement is worth whose error is smaller by a factor of e. Its error is a hundred times that of native scale, more where
 * there is text, and cannot become small: weighed by lambda it would outweigh all else.
 */
const ENLARGEMENT = 0.3;

const MIDDLE = 255 / 2;

export interface BatchLoss {
  /** Scalar: what is minimized. */
  readonly loss: Tensor;
  /** Means over the batch: bits of a pixel, and squared error in 8-bit units. */
  readonly bitsPerPixel: Tensor;
  readonly squaredError: Tensor;
}

/** Bits a pixel plus lambda times the error, over all pictures of a batch. */
export function batchLoss(
  tf: TensorFlow,
  ops: Differentiable,
  network: TrainableNetwork,
  model: Model,
  batch: Batch,
): BatchLoss {
  const { count, side, enlarged, noiseSeed } = batch;
  // Decoders clamp: beyond white there is no error. Where it counted, white paper would come out a little gray.
  const displayed = (samples: Tensor4D) =>
    tf.add(ops.clamp(tf.sub(samples, MIDDLE), MIDDLE), MIDDLE) as Tensor4D;
  const pictures = tf.tensor4d(batch.pictures, [count, side, side, 3]);
  const quality = tf.tensor1d(batch.quality, 'int32');
  const { latents, bits } = network.entropy(network.analyze(pictures, quality), quality, noiseSeed);
  const features = network.features(latents, quality);
  const rate = tf.mul(bits, 1 / side ** 2);
  const shares = Array.from(batch.quality, (q) => structureShare(q + 1, model.qualities));
  let shown: Tensor4D;
  let wanted = batch.pictures;
  let weights: Float32Array;
  if (enlarged) {
    const { place, target } = enlarged;
    shown = displayed(network.enlarged(features, enlargedWindow(tf, place)));
    wanted = target;
    weights = new Float32Array(place.size ** 2).fill(1);
  } else {
    shown = displayed(network.native(features));
    weights = frameWeights(side);
  }
  const error = pictureError(tf, shown, wanted, shares, weights);
  const squaredError = tf.mean(tf.squaredDifference(shown, tf.tensor4d(wanted, shown.shape)));
  const lambda = Float32Array.from(batch.quality, (q) => distortionWeight(q + 1, model.qualities));
  const distortion = enlarged ? tf.mul(tf.log1p(error), ENLARGEMENT) : tf.mul(error, tf.tensor1d(lambda));
  const weight = tf.tensor1d(lambda.map((l) => (l / LOWEST_WEIGHT) ** -FLATTENING));
  const loss = tf.mean(tf.mul(tf.add(rate, distortion), weight));
  return { loss, bitsPerPixel: tf.mean(rate), squaredError };
}
