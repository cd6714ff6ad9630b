import { grow, layerExtents, layerWindows, scaled } from '../../../network/window.ts';
import type { Extent, Rect } from '../../engine.ts';
import type { Region } from '../heap.ts';
import type { PackedConv, PackedLayer } from '../pack/pack-layer.ts';
import { clearBorder, convOperation, pushShuffledConv, rowOperation, unshuffledConv } from './operations.ts';
import type { Operation } from './program.ts';

/** Gives a plan addresses for its tensors. */
export interface Allocator {
  allocate(byteLength: number): number;
  free(address: number): void;
}

export interface Plan {
  readonly operations: Operation[];
  readonly output: Region;
}

/**
 * For gradients: called for each residual between its convolutions. `made`: the output of the first, over
 * `window`. May add to `operations`. Returns whether `made` is kept: not freed.
 */
export type InsideResidual = (made: Region, window: Rect, operations: Operation[]) => boolean;

/**
 * Layers as kernel calls that make `window` of the last layer's output. `input` covers
 * `inputRegionRect(layers, window, extent)`, its border of zeros included; `extent`: rows and columns of the
 * whole input. Intermediate tensors come from `allocator` and go back to it, so a plan reuses an address as
 * soon as the operation that read it is done. The output is `output` if given, else allocated.
 */
export function planLayers(
  layers: readonly PackedLayer[],
  input: Region,
  extent: Extent,
  window: Rect,
  quality: number,
  allocator: Allocator,
  output?: Region,
  inside?: InsideResidual,
): Plan {
  const extents = layerExtents(layers, extent);
  const windows = layerWindows(layers, window, extent);
  const operations: Operation[] = [];
  let current = input;
  for (let i = 0; i < layers.length; ) {
    const layer = layers[i]!;
    const next = layers[i + 1];
    // An unshuffle and the convolution behind it are one operation, a convolution and the shuffle behind it
    // too.
    const used = layer.op === 'unshuffle' || (layer.op === 'conv' && next?.op === 'shuffle') ? 2 : 1;
    const made = windows[i + used]!;
    const last = i + used === layers.length;
    const channels = channelsAfter(layers, i + used);
    const low = windows[i + 1]!;
    let rect = last ? made : padded(layers, i + used, made, windows, extents);
    if (next?.op === 'shuffle' && used === 2) rect = union(rect, scaled(low, next.factor));
    const target = last && output ? output : allocateRegion(allocator, rect, channels);
    if (!(last && output)) clearBorder(operations, target, extents[i + used]!);
    if (layer.op === 'residual') {
      const inner = grow(made, 1, extents[i]!);
      const hidden = allocateRegion(allocator, growAll(made, 1), layer.first.outputs);
      clearBorder(operations, hidden, extents[i]!);
      barrier(operations);
      operations.push(convOperation(layer.first, current, hidden, inner, quality));
      const kept = inside?.(hidden, inner, operations);
      operations.push(
        convOperation(layer.second, hidden, target, made, quality, { of: current, limit: layer.limit }),
      );
      if (!kept) allocator.free(hidden.address);
    } else if (layer.op === 'row') {
      barrier(operations);
      operations.push(rowOperation(layer.row, layer.limit, current, target, made, quality));
    } else if (layer.op === 'unshuffle') {
      barrier(operations);
      operations.push(unshuffledConv(next as PackedConv, layer.factor, current, target, made, quality));
    } else if (layer.op === 'conv') {
      barrier(operations);
      if (next?.op === 'shuffle')
        pushShuffledConv(operations, layer, next.factor, current, target, low, quality);
      else operations.push(convOperation(layer, current, target, made, quality));
    }
    if (current !== input) allocator.free(current.address);
    current = target;
    i += used;
  }
  return { operations, output: current };
}

/** The rect that the input of `layers` must cover for an output window, zeros beyond the picture included. */
export function inputRegionRect(layers: readonly PackedLayer[], window: Rect, extent: Extent): Rect {
  const windows = layerWindows(layers, window, extent);
  return padded(layers, 0, windows[0]!, windows, layerExtents(layers, extent));
}

/**
 * The rect that the last of `layers` writes for an output window. It is larger than the window if that is a
 * shuffle, which makes whole groups of sites.
 */
export function outputRegionRect(layers: readonly PackedLayer[], window: Rect, extent: Extent): Rect {
  const last = layers.at(-1)!;
  if (last.op !== 'shuffle') return window;
  const low = layerWindows(layers, window, extent).at(-2)!;
  return union(window, scaled(low, last.factor));
}

export function regionByteLength(rect: Rect, channels: number): number {
  return rect.height * rect.width * channels * 2;
}

/** Has all operations so far end before the next begins. */
export function barrier(operations: Operation[]): void {
  const last = operations.at(-1);
  if (last && !last.barrier) operations[operations.length - 1] = { ...last, barrier: true };
}

/** Memory for a tensor over `rect`. */
export function allocateRegion(allocator: Allocator, rect: Rect, channels: number): Region {
  return { address: allocator.allocate(regionByteLength(rect, channels)), rect, channels };
}

/** The rect that the input of layer i must cover, zeros beyond the picture included. */
function padded(
  layers: readonly PackedLayer[],
  i: number,
  window: Rect,
  windows: readonly Rect[],
  extents: readonly Extent[],
): Rect {
  const layer = layers[i]!;
  if (layer.op === 'conv' && layer.kernel === 3) return growAll(windows[i + 1]!, 1);
  if (layer.op === 'residual') return growAll(grow(windows[i + 1]!, 1, extents[i]!), 1);
  return window;
}

/** A rect with a margin that may reach beyond the picture, unlike that of `grow`. */
export function growAll({ top, left, height, width }: Rect, margin: number): Rect {
  return { top: top - margin, left: left - margin, height: height + 2 * margin, width: width + 2 * margin };
}

function union(a: Rect, b: Rect): Rect {
  const top = Math.min(a.top, b.top);
  const left = Math.min(a.left, b.left);
  return {
    top,
    left,
    height: Math.max(a.top + a.height, b.top + b.height) - top,
    width: Math.max(a.left + a.width, b.left + b.width) - left,
  };
}

/** Channels of the output of the first `count` layers. */
export function channelsAfter(layers: readonly PackedLayer[], count: number): number {
  const layer = layers[count - 1]!;
  if (layer.op === 'conv') return layer.outputs;
  if (layer.op === 'residual') return layer.second.outputs;
  if (layer.op === 'row') return layer.channels;
  const before = layers[count - 2] as PackedConv;
  return layer.op === 'shuffle' ? before.outputs / (layer.factor * layer.factor) : 0;
}
