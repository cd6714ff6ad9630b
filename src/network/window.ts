import type { Extent, Rect } from '../engine/engine.ts';
import type { Conv, Model, Residual, Row, Shuffle, Unshuffle } from './model.ts';

/**
 * Which part of its input a layer needs for a part of its output (spec 3.5). Rects shrink layer by layer, and
 * are clipped to the picture: beyond it the input is zero, inside it the true neighbors are needed, so that
 * every window has the bytes of the whole.
 */

/** What windows depend on: not on weights, wherever those lie. */
type LayerShape = Pick<Conv, 'op' | 'kernel'> | Pick<Residual | Row, 'op'> | Unshuffle | Shuffle;

/** Rows and columns of the input and of every layer's output: `layers.length + 1` of them. */
export function layerExtents(layers: readonly LayerShape[], input: Extent): Extent[] {
  const extents = [input];
  for (const layer of layers) extents.push(outputExtent(layer, extents.at(-1)!));
  return extents;
}

/** Rows and columns of the last layer's output; of the input where there are no layers. */
export function extentAfter(layers: readonly LayerShape[], input: Extent): Extent {
  return layerExtents(layers, input).at(-1)!;
}

function outputExtent(layer: LayerShape, input: Extent): Extent {
  if (layer.op === 'shuffle') return scaledExtent(input, layer.factor);
  if (layer.op === 'unshuffle') return scaledExtent(input, 1 / layer.factor);
  return input;
}

/** Sites beyond its output that a layer reads on each side. */
function reach(layer: LayerShape): number {
  if (layer.op === 'conv') return (layer.kernel - 1) / 2;
  return layer.op === 'residual' ? 2 : 0;
}

/** What one layer needs of its input for `output`, clipped to `extent`, the whole of that input. */
function layerWindow(layer: LayerShape, output: Rect, extent: Extent): Rect {
  const { top, left, height, width } = output;
  if (layer.op === 'unshuffle') return scaled(output, layer.factor);
  if (layer.op === 'shuffle') {
    const { factor } = layer;
    const firstRow = Math.floor(top / factor);
    const firstColumn = Math.floor(left / factor);
    return {
      top: firstRow,
      left: firstColumn,
      height: Math.ceil((top + height) / factor) - firstRow,
      width: Math.ceil((left + width) / factor) - firstColumn,
    };
  }
  return grow(output, reach(layer), extent);
}

/** All of a tensor. */
export function whole({ height, width }: Extent): Rect {
  return { top: 0, left: 0, height, width };
}

/** Rows and columns of a tensor that has `factor` for each of these. */
export function scaledExtent({ height, width }: Extent, factor: number): Extent {
  return { height: height * factor, width: width * factor };
}

/** A rect of a tensor in one that has `factor` rows and columns for each of its own. */
export function scaled({ top, left, height, width }: Rect, factor: number): Rect {
  return { top: top * factor, left: left * factor, height: height * factor, width: width * factor };
}

/** `rect` with `margin` more on every side, clipped to `extent`. */
export function grow({ top, left, height, width }: Rect, margin: number, extent: Extent): Rect {
  const firstRow = Math.max(0, top - margin);
  const firstColumn = Math.max(0, left - margin);
  return {
    top: firstRow,
    left: firstColumn,
    height: Math.min(extent.height, top + height + margin) - firstRow,
    width: Math.min(extent.width, left + width + margin) - firstColumn,
  };
}

/**
 * The rect of the input and of every layer's output that `output` (of the last layer) needs: `layers.length + 1`
 * of them, the last being `output`. `input`: rows and columns of the whole input of the first layer.
 */
export function layerWindows(layers: readonly LayerShape[], output: Rect, input: Extent): Rect[] {
  const extents = layerExtents(layers, input);
  const windows = [output];
  for (let i = layers.length - 1; i >= 0; i--)
    windows.unshift(layerWindow(layers[i]!, windows[0]!, extents[i]!));
  return windows;
}

/** What a list of layers needs of its input for `output`. */
export function inputRect(layers: readonly LayerShape[], output: Rect, input: Extent): Rect {
  return layerWindows(layers, output, input)[0]!;
}

/** The sites of some latents. */
export function sitesOf({ latentStride }: Model, latents: Rect): Rect {
  return scaled(latents, latentStride);
}

/** The latents that P over `sites` needs, in a level of `level` latents. */
export function latentWindow(model: Model, sites: Rect, level: Extent): Rect {
  return inputRect(model.synthesis, sites, level);
}

/**
 * The pixels that the analysis output over `latents` needs, in a picture of `picture` pixels padded to whole
 * latents (spec 3.4).
 */
export function analysisWindow(model: Model, latents: Rect, picture: Extent): Rect {
  return inputRect(model.analysis, latents, paddedExtent(model, picture));
}

/** `picture` rounded up to whole latents. */
export function paddedExtent(model: Model, picture: Extent): Extent {
  const stride = model.latentStride;
  return {
    height: Math.ceil(picture.height / stride) * stride,
    width: Math.ceil(picture.width / stride) * stride,
  };
}

/** A copy of `rect` out of a tensor (…, channels) over `fromRect`; zeros where `rect` reaches beyond that. */
export function cut(from: Int16Array, fromRect: Rect, rect: Rect, channels: number): Int16Array {
  const out = new Int16Array(rect.height * rect.width * channels);
  copyOverlap(from, fromRect, out, rect, channels);
  return out;
}

/** Whether two rects have anything in common. */
export function overlaps(a: Rect, b: Rect): boolean {
  return (
    a.top < b.top + b.height &&
    b.top < a.top + a.height &&
    a.left < b.left + b.width &&
    b.left < a.left + a.width
  );
}

/** Copies what `fromRect` and `toRect` have in common from one tensor (…, channels) to another. */
export function copyOverlap<T extends Int16Array | Float64Array>(
  from: T,
  fromRect: Rect,
  to: T,
  toRect: Rect,
  channels: number,
): void {
  const top = Math.max(fromRect.top, toRect.top);
  const bottom = Math.min(fromRect.top + fromRect.height, toRect.top + toRect.height);
  const left = Math.max(fromRect.left, toRect.left);
  const right = Math.min(fromRect.left + fromRect.width, toRect.left + toRect.width);
  for (let row = top; row < bottom; row++) {
    const start = ((row - fromRect.top) * fromRect.width + left - fromRect.left) * channels;
    to.set(
      from.subarray(start, start + (right - left) * channels),
      ((row - toRect.top) * toRect.width + left - toRect.left) * channels,
    );
  }
}

/** At every site the channels of `a`, then those of `b`. */
export function joinChannels(a: Int16Array, channelsA: number, b: Int16Array, channelsB: number): Int16Array {
  const joined = new Int16Array(a.length + b.length);
  for (let i = 0, at = 0; at < joined.length; i++, at += channelsA + channelsB) {
    joined.set(a.subarray(i * channelsA, (i + 1) * channelsA), at);
    joined.set(b.subarray(i * channelsB, (i + 1) * channelsB), at + channelsA);
  }
  return joined;
}
