import type { Conv, Layer, Residual, Row } from '../../network/model.ts';
import { grow, scaled } from '../../network/window.ts';
import type { Extent, Rect } from '../engine.ts';
import type { Tensor, Tensor4D, TensorFlow } from './backend.ts';

/**
 * The layers of spec 3.3 in TensorFlow.js operations, on float32 that hold integers. Weights are divided by
 * the layer's 2^shift beforehand; results are rounded and clamped as in exact engines. Only sums differ:
 * float32 rounds them beyond 2^24.
 *
 * Tensors are (1,H,W,C) and cover `rect` of a larger one.
 */
export interface DevicePatch {
  readonly rect: Rect;
  readonly tensor: Tensor4D;
}

/**
 * One layer on the device. `run` makes `output` of the layer from `input`, which covers what `layerWindows`
 * says; `extent`: of the whole input.
 */
export interface DeviceLayer {
  run(input: DevicePatch, extent: Extent, output: Rect, quality: number): Tensor4D;
  dispose(): void;
}

export function uploadLayer(tf: TensorFlow, layer: Layer): DeviceLayer {
  switch (layer.op) {
    case 'conv':
      return uploadConv(tf, layer);
    case 'residual':
      return uploadResidual(tf, layer);
    case 'row':
      return uploadRow(tf, layer);
    case 'shuffle':
      return shuffle(tf, layer.factor);
    case 'unshuffle':
      throw new TypeError('synthesis has no unshuffle: a model that has one does not enlarge');
  }
}

function uploadConv(tf: TensorFlow, conv: Conv): DeviceLayer {
  const { kernel, outputs, biasRows, limit, leaky } = conv;
  const scale = 2 ** -conv.shift;
  const filter = tf.tensor(filterOf(conv, scale), [kernel, kernel, conv.inputs, outputs]) as Tensor4D;
  // Adding one half makes of rounding down rounding to nearest, ties upward.
  const half = conv.shift > 0 ? 0.5 : 0;
  const bias = tf.tensor(
    Float32Array.from(conv.bias, (b) => b * scale + half),
    [biasRows, outputs],
  );
  const radius = (kernel - 1) / 2;
  return {
    run(input, extent, output, quality) {
      const window = grow(output, radius, extent);
      const padded = padBeyond(tf, cropTo(tf, input, window), window, output, radius);
      const row = tf.slice(bias, [biasRows > 1 ? quality - 1 : 0, 0], [1, outputs]);
      const sums = tf.add(tf.conv2d(padded, filter, 1, 'valid'), row);
      const values = tf.clipByValue(tf.floor(sums), -limit, limit);
      return (leaky ? tf.maximum(values, tf.floor(tf.mul(values, 1 / 8))) : values) as Tensor4D;
    },
    dispose() {
      filter.dispose();
      bias.dispose();
    },
  };
}

/** [outputs][kernel][kernel][inputs] -> [kernel][kernel][inputs][outputs], times `scale`, a power of two. */
export function filterOf({ kernel, inputs, outputs, weight }: Conv, scale: number): Float32Array {
  const filter = new Float32Array(weight.length);
  const length = kernel * kernel * inputs;
  for (let o = 0, w = 0; o < outputs; o++) {
    for (let i = 0; i < length; i++) filter[i * outputs + o] = weight[w++]! * scale;
  }
  return filter;
}

function uploadResidual(tf: TensorFlow, { first, second, limit }: Residual): DeviceLayer {
  const inner = uploadConv(tf, first);
  const outer = uploadConv(tf, second);
  return {
    run(input, extent, output, quality) {
      const rect = grow(output, 1, extent);
      const branch = outer.run(
        { rect, tensor: inner.run(input, extent, rect, quality) },
        extent,
        output,
        quality,
      );
      return tf.clipByValue(tf.add(cropTo(tf, input, output), branch), -limit, limit) as Tensor4D;
    },
    dispose() {
      inner.dispose();
      outer.dispose();
    },
  };
}

function uploadRow(tf: TensorFlow, { row, channels, limit }: Row): DeviceLayer {
  const rows = tf.tensor(Float32Array.from(row), [row.length / channels, channels]);
  return {
    run(input, _extent, output, quality) {
      const values = tf.slice(rows, [quality - 1, 0], [1, channels]);
      return tf.clipByValue(tf.add(cropTo(tf, input, output), values), -limit, limit) as Tensor4D;
    },
    dispose: () => rows.dispose(),
  };
}

/** (H,W,k*k*C) -> (H*k,W*k,C): TensorFlow's order of channels is that of the specification. */
function shuffle(tf: TensorFlow, factor: 2 | 4): DeviceLayer {
  return {
    run({ rect, tensor }, _extent, output) {
      return cropTo(
        tf,
        { rect: scaled(rect, factor), tensor: tf.depthToSpace(tensor, factor, 'NHWC') },
        output,
      );
    },
    dispose() {},
  };
}

/** The part `rect` of a patch. */
function cropTo(tf: TensorFlow, { rect: from, tensor }: DevicePatch, rect: Rect): Tensor4D {
  if (rect.height === from.height && rect.width === from.width) return tensor;
  const [, , , channels] = tensor.shape;
  const begin = [0, rect.top - from.top, rect.left - from.left, 0];
  return tf.slice(tensor as Tensor, begin, [1, rect.height, rect.width, channels]) as Tensor4D;
}

/** Adds zeros where `output`, grown by `radius`, reaches beyond `window`: there the picture ends. */
function padBeyond(tf: TensorFlow, tensor: Tensor4D, window: Rect, output: Rect, radius: number): Tensor4D {
  const above = window.top - (output.top - radius);
  const left = window.left - (output.left - radius);
  const below = output.height + 2 * radius - above - window.height;
  const right = output.width + 2 * radius - left - window.width;
  if (above + left + below + right === 0) return tensor;
  return tf.pad(tensor, [
    [0, 0],
    [above, below],
    [left, right],
    [0, 0],
  ]);
}
