import type { Conv, Layer, Row } from '../../network/model.ts';
import { grow, layerExtents, layerWindows } from '../../network/window.ts';
import type { Extent, Rect } from '../engine.ts';
import type { Kernel } from './shaders.ts';

/** A tensor on the device, a window of a larger one. Compared by identity. */
export interface Tensor {
  readonly rect: Rect;
  readonly channels: number;
}

/** One run of a kernel. */
export interface Dispatch {
  readonly kernel: Exclude<Kernel, 'head'>;
  readonly input: Tensor;
  readonly output: Tensor;
  readonly residual?: Tensor;
  /** The layer whose weights and biases it reads. */
  readonly layer?: Conv | Row;
  /** `struct Layer` of layer.wgsl, without the first three words, which depend on the places of tensors. */
  readonly parameters: Int32Array;
  readonly workgroups: readonly [number, number, number];
}

const MAX_WORKGROUPS = 65_535;

export function tensorBytes({ rect, channels }: Tensor): number {
  return rect.height * rect.width * channels * 2;
}

export function bytesOf(tensors: readonly Tensor[]): number {
  return tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

/**
 * Layers as runs of kernels that make exactly `window` of `output`, which may cover more. `input` covers what
 * `layerWindows` asks for; `extent`: rows and columns of the whole input.
 */
export function planLayers(
  layers: readonly Layer[],
  input: Tensor,
  extent: Extent,
  window: Rect,
  quality: number,
  output: Tensor,
): Dispatch[] {
  const extents = layerExtents(layers, extent);
  const windows = layerWindows(layers, window, extent);
  const dispatches: Dispatch[] = [];
  let current = input;
  for (let i = 0; i < layers.length; ) {
    const layer = layers[i]!;
    const next = layers[i + 1];
    // A shuffle is part of the convolution before it: it only changes where that writes.
    const shuffle = layer.op === 'conv' && next?.op === 'shuffle' ? next.factor : 1;
    const used = shuffle > 1 ? 2 : 1;
    const rect = windows[i + used]!;
    const target = (channels: number): Tensor => (i + used === layers.length ? output : { rect, channels });
    if (layer.op === 'conv') {
      const made = target(layer.outputs / (shuffle * shuffle));
      dispatches.push(convolution(layer, current, windows[i + 1]!, made, quality, { shuffle }));
      current = made;
    } else if (layer.op === 'residual') {
      const inner = { rect: grow(rect, 1, extents[i]!), channels: layer.first.outputs };
      const made = target(layer.second.outputs);
      const residual = { of: current, limit: layer.limit };
      dispatches.push(convolution(layer.first, current, inner.rect, inner, quality, {}));
      dispatches.push(convolution(layer.second, inner, rect, made, quality, { residual }));
      current = made;
    } else if (layer.op === 'row') {
      const made = target(layer.channels);
      dispatches.push(addRow(layer, current, rect, made, quality));
      current = made;
    } else if (layer.op === 'unshuffle') {
      const made = target(current.channels * layer.factor ** 2);
      dispatches.push(unshuffle(layer.factor, current, rect, made));
      current = made;
    }
    i += used;
  }
  return dispatches;
}

interface Extras {
  readonly shuffle?: number;
  readonly residual?: { readonly of: Tensor; readonly limit: number };
}

function convolution(
  layer: Conv,
  input: Tensor,
  window: Rect,
  output: Tensor,
  quality: number,
  { shuffle = 1, residual }: Extras,
): Dispatch {
  const blocks = Math.ceil(layer.outputs / 32);
  const workgroups: Dispatch['workgroups'] =
    layer.kernel === 3
      ? [Math.ceil(window.width / 16), Math.ceil(window.height / 8), blocks]
      : [...linear(window.height * window.width), blocks];
  return {
    kernel: layer.kernel === 3 ? 'conv3x3' : 'conv1x1',
    input,
    output,
    ...(residual && { residual: residual.of }),
    layer,
    parameters: parameters(window, input, output, {
      residual,
      outputs: layer.outputs,
      shuffle,
      firstBias: layer.biasRows > 1 ? (quality - 1) * layer.outputs : 0,
      shift: layer.shift,
      limit: layer.limit,
      leaky: layer.leaky,
    }),
    workgroups,
  };
}

function addRow(layer: Row, input: Tensor, window: Rect, output: Tensor, quality: number): Dispatch {
  return {
    kernel: 'row',
    input,
    output,
    layer,
    parameters: parameters(window, input, output, {
      firstBias: (quality - 1) * layer.channels,
      limit: layer.limit,
    }),
    workgroups: [...linear((window.height * window.width * layer.channels) / 2), 1],
  };
}

function unshuffle(factor: number, input: Tensor, window: Rect, output: Tensor): Dispatch {
  const from = { ...window, top: window.top * factor, left: window.left * factor };
  return {
    kernel: 'unshuffle',
    input,
    output,
    parameters: parameters(window, input, output, { shuffle: factor, from }),
    workgroups: [...linear((window.height * window.width * output.channels) / 2), 1],
  };
}

/** Workgroups of 128 in a row, and rows of them. */
function linear(count: number): [number, number] {
  const workgroups = Math.ceil(count / 128);
  return [Math.min(workgroups, MAX_WORKGROUPS), Math.ceil(workgroups / MAX_WORKGROUPS)];
}

interface LayerFields {
  readonly residual?: Extras['residual'];
  readonly outputs?: number;
  readonly shuffle?: number;
  readonly firstBias?: number;
  readonly shift?: number;
  readonly limit?: number;
  readonly leaky?: boolean;
  /** The rect of the input whose first site belongs to the window's first site. Default: the window. */
  readonly from?: Rect;
}

/** The fields of `struct Layer` in their order. */
function parameters(window: Rect, input: Tensor, output: Tensor, fields: LayerFields): Int32Array {
  const { residual, shuffle = 1, from = window, outputs = 0 } = fields;
  // An unshuffle writes where its window lies, a convolution where the shuffled one does.
  const factor = outputs > 0 ? shuffle : 1;
  return Int32Array.of(
    window.height,
    window.width,
    from.top - input.rect.top,
    from.left - input.rect.left,
    residual ? window.top - residual.of.rect.top : 0,
    residual ? window.left - residual.of.rect.left : 0,
    window.top * factor - output.rect.top,
    window.left * factor - output.rect.left,
    input.rect.height,
    input.rect.width,
    residual?.of.rect.width ?? 0,
    output.rect.height,
    output.rect.width,
    input.channels / 2,
    outputs,
    output.channels / 2,
    shuffle,
    fields.firstBias ?? 0,
    fields.shift ?? 0,
    fields.limit ?? 0,
    fields.leaky ? 1 : 0,
    residual?.limit ?? 0,
  );
}
