import { groupAt } from '../../network/channel-groups.ts';
import type { Model } from '../../network/model.ts';
import type { Tensor, Tensor4D, TensorFlow } from '../tensorflow.ts';
import type { Differentiable } from './differentiable.ts';
import { gaussianBits, SMALLEST_DEVIATION } from './rate.ts';
import { tableDeviation, tableDeviations } from './table-deviations.ts';
import type { LayerBuilder } from './trainable-layers.ts';

/** Symbols with the CDF table that codes each, as tensors of one shape. */
export type CountedSymbols = { tables: Tensor; symbols: Tensor };

/**
 * The entropy model in floats: hyper networks, prior and quantization (spec 3.6). Rounding has two stand-ins
 * in training:
 *
 * - latents that networks read are rounded, with the gradient of the identity ("straight through"),
 * - bits are those of symbols with uniform noise in the place of rounding (Balle et al., "End-to-end
 *   optimized image compression", 2017).
 *
 * B = pictures of a batch, h, w = rows, columns of latents, Cy = their channels.
 */
export interface TrainableEntropy {
  /** Analysis output (B,h,w,Cy) -> dequantized latents (B,h,w,Cy) and estimated bits of each picture (B). */
  estimate(analyzed: Tensor4D, quality: Tensor, noiseSeed: number): { latents: Tensor4D; bits: Tensor };
  /**
   * The symbols that analysis output is coded with, for fitting CDF tables: hyper latents, then latents.
   * Without gradients.
   */
  symbols(analyzed: Tensor4D, quality: Tensor): CountedSymbols[];
}

/** Asks `builder` for the layers of the hyper networks and the prior, in the order of `modelConvs`. */
export function trainableEntropy(
  tf: TensorFlow,
  ops: Differentiable,
  model: Model,
  builder: LayerBuilder,
): TrainableEntropy {
  const { latent, hyper, latentChannels, hyperChannels } = model;
  const hyperAnalysis = builder.layers(model.hyperAnalysis);
  const hyperSynthesis = builder.layers(model.hyperSynthesis);
  const prior = model.prior.map(({ trunk, mean, deviation }) => ({
    trunk: builder.layers(trunk),
    mean: builder.conv(mean),
    deviation: builder.conv(deviation),
  }));

  const scaled = (values: Int32Array, bits: number) => Float32Array.from(values, (v) => v * 2 ** -bits);
  const hyperStep = builder.rows(scaled(hyper.step, hyper.stepBits), hyperChannels);
  const hyperOffset = builder.rows(scaled(hyper.offset, hyper.stepBits), hyperChannels);
  const hyperTable = builder.rows(Float32Array.from(hyper.table), hyperChannels);
  // Symbols of an empty table are 0: they get the smallest deviation, at which 0 costs next to nothing.
  const hyperDeviations = Array.from({ length: model.tables.count }, (_, table) =>
    Math.max(SMALLEST_DEVIATION, tableDeviation(model.tables, table)),
  );
  const hyperDeviation = builder.rows(
    Float32Array.from(hyper.table, (table) => hyperDeviations[table]!),
    hyperChannels,
  );
  const { offset, perOctave } = tableDeviations(model.tables);
  const latentStep = builder.rows(scaled(latent.step, latent.stepBits), latentChannels);
  const tableOffset = builder.rows(scaled(latent.deviationOffset, latent.deviationShift), latentChannels);

  /**
   * `exact`: hyper latents before rounding, in steps from their mean. `quantized`: after rounding, as the
   * networks read them.
   */
  function hyperLatents(analyzed: Tensor4D, quality: Tensor) {
    const step = hyperStep(quality);
    const offset = hyperOffset(quality);
    const exact = tf.div(tf.sub(hyperAnalysis(analyzed, quality), offset), step);
    const quantized = tf.add(tf.mul(ops.round(exact), step), offset) as Tensor4D;
    return { exact, quantized };
  }

  /**
   * The four coding steps of the prior. `exact`: latents before rounding, in steps from their mean. `index`:
   * of their CDF table, a fraction. `decoded`: dequantized latents. All (B,h,w,Cy).
   */
  function predict(analyzed: Tensor4D, hyperQuantized: Tensor4D, quality: Tensor) {
    const [, height, width] = analyzed.shape;
    const step = latentStep(quality);
    const context = hyperSynthesis(hyperQuantized, quality);
    const masks = codingMasks(tf, height, width, latentChannels);
    let decoded: Tensor = tf.zerosLike(analyzed);
    let means: Tensor = decoded;
    let tables: Tensor = decoded;
    for (const [t, { trunk, mean: meanOf, deviation: deviationOf }] of prior.entries()) {
      const seen = trunk(t === 0 ? context : (tf.concat([context, decoded], 3) as Tensor4D), quality);
      const mean = meanOf(seen, quality);
      const mask = masks[t]!;
      const rounded = ops.round(tf.div(tf.sub(analyzed, mean), step));
      decoded = tf.add(decoded, tf.mul(tf.add(tf.mul(rounded, step), mean), mask));
      means = tf.add(means, tf.mul(mean, mask));
      tables = tf.add(tables, tf.mul(deviationOf(seen, quality), mask));
    }
    const exact = tf.div(tf.sub(analyzed, means), step);
    const index = tf.add(tf.mul(tables, 2 ** -latent.deviationShift), tableOffset(quality));
    return { exact, index, decoded: decoded as Tensor4D };
  }

  /** Bits of each picture (B), with noise in the place of rounding. `deviation`: log2 of steps. */
  function bitsOf(exact: Tensor, deviation: Tensor, seed: number): Tensor {
    const noisy = tf.add(exact, tf.randomUniform(exact.shape, -0.5, 0.5, 'float32', seed));
    return tf.sum(gaussianBits(tf, ops, noisy, deviation), [1, 2, 3]);
  }

  return {
    estimate(analyzed, quality, noiseSeed) {
      const { exact: hyperExact, quantized } = hyperLatents(analyzed, quality);
      const { exact, index, decoded } = predict(analyzed, quantized, quality);
      const deviation = tf.add(tf.mul(tf.sub(index, 0.5), 1 / perOctave), offset);
      const bits = tf.add(
        bitsOf(hyperExact, hyperDeviation(quality), noiseSeed),
        bitsOf(exact, deviation, noiseSeed + 1),
      );
      return { latents: decoded, bits };
    },
    symbols(analyzed, quality) {
      const { exact: hyperExact, quantized } = hyperLatents(analyzed, quality);
      const { exact, index } = predict(analyzed, quantized, quality);
      const last = model.tables.count - 1;
      return [
        { tables: tf.add(tf.zerosLike(hyperExact), hyperTable(quality)), symbols: tf.round(hyperExact) },
        { tables: tf.clipByValue(tf.floor(index), 0, last), symbols: tf.round(exact) },
      ];
    },
  };
}

/** For each of the four coding steps, a mask (1,h,w,Cy): one where the step codes, zero elsewhere. */
function codingMasks(tf: TensorFlow, height: number, width: number, channels: number): Tensor[] {
  return [0, 1, 2, 3].map((step) => {
    const mask = new Float32Array(height * width * channels);
    for (let row = 0, i = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const group = groupAt(step, row, column);
        mask.fill(1, i + (group * channels) / 4, i + ((group + 1) * channels) / 4);
        i += channels;
      }
    return tf.tensor(mask, [1, height, width, channels]);
  });
}
