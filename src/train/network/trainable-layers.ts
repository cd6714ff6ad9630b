import { filterOf } from '../../engine/tensorflow/layers.ts';
import type { Conv, Layer, Row } from '../../network/model.ts';
import type { Tensor, Tensor4D, TensorFlow, Variable } from '../tensorflow.ts';
import type { Differentiable } from './differentiable.ts';
import type { Exponents } from './exponents.ts';

/**
 * A convolution of spec 3.3 in float32, with gradients. Tensors hold the values of the integers before
 * rounding; weights are those of the model over 2^shift. A difference from them is learned (see
 * `trainableConv`). Biases and rows that depend on quality are not.
 *
 * k = side of the filter, I, O = channels of input and output.
 */
export interface TrainableConv {
  readonly conv: Conv;
  /** The variables: (k,k,I,O) and (O), zeros at first, in the units of `trainableConv`. */
  readonly weightDelta: Variable;
  readonly biasDelta: Variable;
  /** The present filter, (k,k,I,O), and the difference from the model's biases, (O), both over 2^shift. */
  filter(): Tensor4D;
  biasShift(): Tensor;
  dispose(): void;
}

/** Runs layers on a batch: input (B,H,W,I), `quality` (B) int32, 0 for quality 1 -> (B,H',W',O). */
export type Pass = (input: Tensor4D, quality: Tensor) => Tensor4D;

export interface LayerBuilder {
  layers(layers: readonly Layer[]): Pass;
  conv(conv: Conv): Pass;
  /** All convolutions that the builder has made, in this order. */
  readonly convs: readonly TrainableConv[];
  /**
   * A constant (qualities, C), from which a batch takes the rows of its qualities: quality (B) -> (B,1,1,C).
   */
  rows(values: Float32Array, channels: number): (quality: Tensor) => Tensor4D;
  dispose(): void;
}

/**
 * The least root mean square of a channel, as a share of that of all weights. It lets a channel of zeros come
 * back.
 */
const LEAST_SHARE = 0.1;
/**
 * Typical size of a weight as a float, for convolutions whose exponents are unknown or say that weights are
 * smaller.
 */
const TYPICAL_WEIGHT = 0.05;
/** Typical range of values as floats, for biases of such convolutions. */
const TYPICAL_RANGE = 32;

/** `exponents`: of each convolution, in the order in which the builder will make them. */
export function layerBuilder(
  tf: TensorFlow,
  ops: Differentiable,
  exponents: readonly Exponents[],
): LayerBuilder {
  const convs: TrainableConv[] = [];
  const constants: Tensor[] = [];

  function rows(values: Float32Array, channels: number): (quality: Tensor) => Tensor4D {
    const table = tf.tensor(values, [values.length / channels, channels]);
    constants.push(table);
    return (quality) => tf.reshape(tf.gather(table, quality), [quality.size, 1, 1, channels]) as Tensor4D;
  }

  function conv(layer: Conv): Pass {
    const trainable = trainableConv(tf, layer, exponents[convs.length]!);
    convs.push(trainable);
    const scale = 2 ** -layer.shift;
    const bias = Float32Array.from(layer.bias, (b) => b * scale);
    const perQuality = layer.biasRows > 1 ? rows(bias, layer.outputs) : undefined;
    const fixed = perQuality ? undefined : tf.tensor(bias, [layer.outputs]);
    if (fixed) constants.push(fixed);
    return (input, quality) => {
      const row = perQuality ? perQuality(quality) : fixed!;
      const sums = tf.add(ops.conv(input, trainable.filter()), tf.add(row, trainable.biasShift()));
      const values = ops.clamp(sums, layer.limit);
      return (layer.leaky ? ops.leaky(values) : values) as Tensor4D;
    };
  }

  function row(layer: Row): Pass {
    const table = rows(Float32Array.from(layer.row), layer.channels);
    return (input, quality) => ops.clamp(tf.add(input, table(quality)), layer.limit) as Tensor4D;
  }

  function layer(of: Layer): Pass {
    switch (of.op) {
      case 'conv':
        return conv(of);
      case 'row':
        return row(of);
      case 'shuffle':
        return (input) => ops.shuffle(input, of.factor);
      case 'unshuffle':
        return (input) => ops.unshuffle(input, of.factor);
      case 'residual': {
        const first = conv(of.first);
        const second = conv(of.second);
        return (input, quality) =>
          ops.clamp(tf.add(input, second(first(input, quality), quality)), of.limit) as Tensor4D;
      }
    }
  }

  return {
    convs,
    conv,
    rows,
    layers(list) {
      const passes = list.map(layer);
      return (input, quality) => passes.reduce((values, pass) => pass(values, quality), input);
    },
    dispose() {
      for (const trainable of convs) trainable.dispose();
      for (const constant of constants) constant.dispose();
    },
  };
}

/**
 * A convolution whose filter is `model's filter + unit * delta`, and delta is learned. Adam changes each
 * delta by about its rate per step, so `unit` sets how far a weight moves at once:
 *
 * - One unit is a difference of 1 in the floats of the original training, for which good rates are known.
 *   Exponents convert them into integers over 2^shift.
 * - Weights much smaller than TYPICAL_WEIGHT move in smaller units; otherwise a few hundred steps would turn
 *   them into noise.
 * - Exporters scale channels against each other, by factors that no file names. The root mean squares of the
 *   weights of an input and of an output channel stand for these factors.
 */
function trainableConv(tf: TensorFlow, conv: Conv, exponents: Exponents): TrainableConv {
  const { kernel, inputs, outputs } = conv;
  const shape: [number, number, number, number] = [kernel, kernel, inputs, outputs];
  const filter = tf.tensor(filterOf(conv, 2 ** -conv.shift), shape) as Tensor4D;
  const { ofInput, ofOutput, ofAll } = rootMeanSquares(conv);
  const known = 2 ** (exponents.output - exponents.input);
  const relative = ofAll / TYPICAL_WEIGHT;
  const one = Number.isNaN(known) ? relative : Math.min(known, relative);
  const unit = tf.tensor(
    Float32Array.from(
      { length: inputs * outputs },
      (_, i) => (one * ofInput[Math.floor(i / outputs)]! * ofOutput[i % outputs]!) / ofAll ** 2,
    ),
    [1, 1, inputs, outputs],
  );
  const biasOne = Number.isNaN(exponents.output) ? conv.limit / TYPICAL_RANGE : 2 ** exponents.output;
  const biasUnit = tf.tensor(
    Float32Array.from(ofOutput, (share) => (biasOne * share) / ofAll),
    [outputs],
  );
  const weightDelta = zeroVariable(tf, shape);
  const biasDelta = zeroVariable(tf, [outputs]);
  return {
    conv,
    weightDelta,
    biasDelta,
    filter: () => tf.tidy(() => tf.add(filter, tf.mul(weightDelta, unit))),
    biasShift: () => tf.mul(biasDelta, biasUnit),
    dispose() {
      for (const tensor of [filter, unit, biasUnit, weightDelta, biasDelta]) tensor.dispose();
    },
  };
}

/** A variable of zeros. The variable takes over the memory of `tf.zeros`, and `tidy` disposes the tensor. */
export function zeroVariable(tf: TensorFlow, shape: number[]): Variable {
  return tf.tidy(() => tf.variable(tf.zeros(shape)));
}

/** Root mean squares of the weights over 2^shift: by input channel [I], by output channel [O], and of all. */
function rootMeanSquares({ kernel, inputs, outputs, weight, shift }: Conv) {
  const taps = kernel * kernel;
  const ofInput = new Float64Array(inputs);
  const ofOutput = new Float64Array(outputs);
  let all = 0;
  for (const [w, value] of weight.entries()) {
    const square = (value * 2 ** -shift) ** 2;
    ofInput[w % inputs]! += square / (taps * outputs);
    ofOutput[Math.floor(w / (taps * inputs))]! += square / (taps * inputs);
    all += square / weight.length;
  }
  const ofAll = Math.sqrt(all) || 1;
  const root = (square: number) => Math.max(Math.sqrt(square), LEAST_SHARE * ofAll);
  return { ofInput: ofInput.map(root), ofOutput: ofOutput.map(root), ofAll };
}
