import type { Model } from '../../network/model.ts';
import type { Tensor, Tensor4D, TensorFlow, Variable } from '../tensorflow.ts';
import type { Differentiable } from './differentiable.ts';
import type { Exponents } from './exponents.ts';
import { type TrainableEntropy, trainableEntropy } from './trainable-entropy.ts';
import { type TrainableHead, trainableHead } from './trainable-head.ts';
import { layerBuilder, type TrainableConv } from './trainable-layers.ts';

/**
 * The network of a model in floats that can be trained: encoder, entropy model, decoder and head. Pictures
 * are (B,H,W,3), 0..255, H and W multiples of 64; `quality` is (B) int32, 0 for quality 1.
 *
 * B = pictures of a batch; H, W = rows, columns of pixels; h, w = of latents; Cy = channels of latents; K =
 * hidden units of the head.
 */
export interface TrainableNetwork {
  /** Pictures (B,H,W,3) -> analysis output (B,h,w,Cy). */
  analyze(pictures: Tensor4D, quality: Tensor): Tensor4D;
  readonly entropy: TrainableEntropy;
  /** Latents (B,h,w,Cy) -> features P (B,H,W,K). */
  features(latents: Tensor4D, quality: Tensor): Tensor4D;
  readonly head: TrainableHead;
  /** In the order of `modelConvs`. */
  readonly convs: readonly TrainableConv[];
  /** What is trained: differences of the convolutions, then of the head. */
  readonly variables: readonly Variable[];
  dispose(): void;
}

/** `exponents`: of the model's convolutions, in the order of `modelConvs`. */
export function trainableNetwork(
  tf: TensorFlow,
  ops: Differentiable,
  model: Model,
  exponents: readonly Exponents[],
): TrainableNetwork {
  const builder = layerBuilder(tf, ops, exponents);
  const analysis = builder.layers(model.analysis);
  const entropy = trainableEntropy(tf, ops, model, builder);
  const synthesis = builder.layers(model.synthesis);
  const head = trainableHead(tf, model.head, exponents.at(-1)!);
  return {
    analyze(pictures, quality) {
      // Spec 3.4, of 8 bits.
      const shifted = tf.mul(tf.sub(tf.mul(pictures, 2 * 257), 65535), 2 ** -model.imageShift);
      return analysis(shifted as Tensor4D, quality);
    },
    entropy,
    features: synthesis,
    head,
    convs: builder.convs,
    variables: [
      ...builder.convs.flatMap(({ weightDelta, biasDelta }) => [weightDelta, biasDelta]),
      ...head.variables,
    ],
    dispose() {
      builder.dispose();
      head.dispose();
    },
  };
}
