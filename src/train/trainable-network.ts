import { groupAt } from '../network/channel-groups.ts';
import type { Model } from '../network/model.ts';
import type { Differentiable } from './differentiable.ts';
import type { EnlargedWindow } from './enlargement.ts';
import type { Exponents } from './exponents.ts';
import { gaussianBits, SMALLEST_DEVIATION } from './rate.ts';
import { tableDeviation, tableDeviations } from './table-deviations.ts';
import type { Tensor, Tensor4D, TensorFlow, Variable } from './tensorflow.ts';
import { layerBuilder, type TrainableConv, zeroVariable } from './trainable-layers.ts';

/** Symbols as a chunk's tables would see them, one entry each; hyper latents first. */
export type CountedSymbols = { tables: Tensor; symbols: Tensor };

/**
 * The network of a model, in floats that can be trained; encoder, prior, decoder and head together. Pictures are (B,H,W,3), 0..255, H and W
 * multiples of 64; `quality` is (B) int32, 0 for quality 1.
 *
 * h, w = rows, columns of latents; Cy, Cz = channels of latents, hyper latents; K = hidden units of the head.
 */
export interface TrainableNetwork {
  /** (B,H,W,3) -> analysis output (B,h,w,Cy). */
  analyze(pictures: Tensor4D, quality: Tensor): Tensor4D;
  /**
   * -> dequantized latents (B,h,w,Cy) and bits of each picture (B), estimated with uniform noise in the place of rounding, as is usual (Balle
   * et al., "End-to-end optimized image compression", 2017).
   */
  entropy(analyzed: Tensor4D, quality: Tensor, noiseSeed: number): { latents: Tensor4D; bits: Tensor };
  /** What `entropy` would round to, for fitting CDF tables: without gradients. */
  symbols(analyzed: Tensor4D, quality: Tensor): CountedSymbols[];
  /** Latents -> P (B,H,W,K). */
  features(latents: Tensor4D, quality: Tensor): Tensor4D;
  /** Samples 0..255 of native scale: (B,H,W,3), neither rounded nor clamped. */
  native(features: Tensor4D): Tensor4D;
  /** Those of a window of an enlargement: (B,n,m,3). */
  enlarged(features: Tensor4D, window: EnlargedWindow): Tensor4D;
  /** In the order of `modelConvs`. */
  readonly convs: readonly TrainableConv[];
  /** The head's last layer as it is now, over 2^outputShift: (3,K) and (3). */
  output(): { weight: Tensor; bias: Tensor };
  /** What is trained. */
  readonly variables: readonly Variable[];
  dispose(): void;
}

/** Levels in one unit of the floats that the network was trained as. */
const LEVELS = 255;
/** Exponent of P where the model does not say. */
const TYPICAL_EXPONENT = 10;

/** `exponents`: of the model's convolutions, in the order of `modelConvs`. */
export function trainableNetwork(
  tf: TensorFlow,
  ops: Differentiable,
  model: Model,
  exponents: readonly Exponents[],
): TrainableNetwork {
  const { latent, hyper, head, latentChannels } = model;
  const builder = layerBuilder(tf, ops, exponents);
  const analysis = builder.layers(model.analysis);
  const hyperAnalysis = builder.layers(model.hyperAnalysis);
  const hyperSynthesis = builder.layers(model.hyperSynthesis);
  const prior = model.prior.map(({ trunk, mean, deviation }) => ({
    trunk: builder.layers(trunk),
    mean: builder.conv(mean),
    deviation: builder.conv(deviation),
  }));
  const synthesis = builder.layers(model.synthesis);

  const scaled = (values: Int32Array, bits: number) => Float32Array.from(values, (v) => v * 2 ** -bits);
  const hyperStep = builder.rows(scaled(hyper.step, hyper.stepBits), model.hyperChannels);
  const hyperOffset = builder.rows(scaled(hyper.offset, hyper.stepBits), model.hyperChannels);
  const hyperTable = builder.rows(Float32Array.from(hyper.table), model.hyperChannels);
  // An empty table's symbols are 0: as good as certain.
  const hyperDeviations = Array.from({ length: model.tables.count }, (_, table) =>
    Math.max(SMALLEST_DEVIATION, tableDeviation(model.tables, table)),
  );
  const hyperDeviation = builder.rows(
    Float32Array.from(hyper.table, (table) => hyperDeviations[table]!),
    model.hyperChannels,
  );
  const { offset, perOctave } = tableDeviations(model.tables);
  const latentStep = builder.rows(scaled(latent.step, latent.stepBits), latentChannels);
  const tableOffset = builder.rows(scaled(latent.deviationOffset, latent.deviationShift), latentChannels);

  const outputScale = 2 ** -head.outputShift;
  const outputWeight = tf.tensor(Float32Array.from(head.outputWeight), [3, head.hidden]);
  const outputBias = tf.tensor(Float32Array.from(head.outputBias), [3]);
  const exponent = exponents.at(-1)!.output;
  const outputUnit =
    LEVELS * 2 ** (head.outputShift - (Number.isNaN(exponent) ? TYPICAL_EXPONENT : exponent));
  const outputWeightDelta = zeroVariable(tf, [3, head.hidden]);
  const outputBiasDelta = zeroVariable(tf, [3]);

  const variables = [
    ...builder.convs.flatMap(({ weightDelta, biasDelta }) => [weightDelta, biasDelta]),
    outputWeightDelta,
    outputBiasDelta,
  ];

  /** Hyper latents: the quantized ones, and what they are quantized from, in steps from their mean. */
  function hyperLatents(analyzed: Tensor4D, quality: Tensor) {
    const step = hyperStep(quality);
    const offset = hyperOffset(quality);
    const exact = tf.div(tf.sub(hyperAnalysis(analyzed, quality), offset), step);
    const quantized = tf.add(tf.mul(ops.round(exact), step), offset) as Tensor4D;
    return { exact, quantized };
  }

  /** The prior's four steps: means and table indices (fractions) of all latents, and the dequantized latents. */
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

  function bitsOf(exact: Tensor, deviation: Tensor, seed: number): Tensor {
    const noisy = tf.add(exact, tf.randomUniform(exact.shape, -0.5, 0.5, 'float32', seed));
    return tf.sum(gaussianBits(tf, ops, noisy, deviation), [1, 2, 3]);
  }

  function output(): { weight: Tensor; bias: Tensor } {
    const weight = tf.add(outputWeight, tf.mul(outputWeightDelta, outputUnit));
    const bias = tf.add(outputBias, tf.mul(outputBiasDelta, LEVELS * 2 ** head.outputShift));
    return { weight: tf.mul(weight, outputScale), bias: tf.mul(bias, outputScale) };
  }

  /** Blended hidden vectors (B,n,m,K) -> samples. */
  function colors(hidden: Tensor): Tensor4D {
    const { weight, bias } = output();
    const [batch, height, width] = hidden.shape as [number, number, number];
    const flat = tf.reshape(hidden, [batch * height * width, head.hidden]);
    const samples = tf.add(tf.matMul(flat, weight, false, true), bias);
    return tf.reshape(samples, [batch, height, width, 3]);
  }

  /** What f's first layer makes of a cell of `size` sites each way, (K): spec 4.4. */
  function cellTerm(size: number): Tensor {
    const scale = (size * 2 ** 12) / 2 ** head.cellShift;
    return tf.tensor1d(
      Float32Array.from(head.cellRowWeight, (w, k) => (w + head.cellColumnWeight[k]!) * scale),
    );
  }

  return {
    analyze(pictures, quality) {
      // Spec 3.4, of 8 bits.
      const shifted = tf.mul(tf.sub(tf.mul(pictures, 2 * 257), 65535), 2 ** -model.imageShift);
      return analysis(shifted as Tensor4D, quality);
    },
    entropy(analyzed, quality, noiseSeed) {
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
    features: (latents, quality) => synthesis(latents, quality),
    native: (features) => colors(tf.relu(tf.add(features, cellTerm(1)))),
    enlarged: (features, window) =>
      colors(window.blend(features, cellTerm(window.cell), head.rowWeight, head.columnWeight)),
    convs: builder.convs,
    output: () => tf.tidy(output),
    variables,
    dispose() {
      builder.dispose();
      for (const tensor of [outputWeight, outputBias, outputWeightDelta, outputBiasDelta]) tensor.dispose();
    },
  };
}

/** For each of the four steps of spec 3.6, one where it codes and zero elsewhere: (1,h,w,Cy). */
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
