import type { Layer } from '../../network/model.ts';
import { grow, layerExtents, layerWindows } from '../../network/window.ts';
import type { Extent, Rect } from '../engine.ts';
import type { PackedConv, PackedLayer } from './pack.ts';
import type { Operation } from './program.ts';

/** A tensor (rect.height, rect.width, channels) of int16 in wasm memory. Its rect may reach one site beyond the picture: zeros. */
export interface Region {
  readonly address: number;
  readonly rect: Rect;
  readonly channels: number;
}

/** Where a plan puts its tensors: a heap of the engine, or a range of a worker. */
export interface Allocator {
  allocate(byteLength: number): number;
  free(address: number): void;
}

export interface Plan {
  readonly operations: Operation[];
  readonly output: Region;
}

/** Strips an operation is cut into, so that threads finish about together. */
const STRIPS = 16;

/**
 * Layers as kernel calls. `input` holds `inputRegion(layers, …)`, border of zeros included; intermediate tensors come from `allocator` and go back to it,
 * so a plan may reuse an address as soon as the operation that read it is done. The output is `output` if given, else allocated.
 * `extent`: rows and columns of the whole input.
 */
export function planLayers(
  layers: readonly PackedLayer[],
  input: Region,
  extent: Extent,
  window: Rect,
  quality: number,
  allocator: Allocator,
  output?: Region,
): Plan {
  // Only op, kernel and factor matter for windows.
  const shapes = layers as unknown as readonly Layer[];
  const extents = layerExtents(shapes, extent);
  const windows = layerWindows(shapes, window, extent);
  const operations: Operation[] = [];
  let current = input;
  for (let i = 0; i < layers.length; ) {
    const layer = layers[i]!;
    const next = layers[i + 1];
    // unshuffle + conv and conv + shuffle are one operation each
    const used = layer.op === 'unshuffle' || (layer.op === 'conv' && next?.op === 'shuffle') ? 2 : 1;
    const made = windows[i + used]!;
    const last = i + used === layers.length;
    const channels = channelsAfter(layers, i + used);
    const low = windows[i + 1]!;
    let rect = last ? made : padded(layers, i + used, made, windows, extents);
    if (next?.op === 'shuffle' && used === 2) rect = union(rect, scaled(low, next.factor));
    const target = last && output ? output : allocate(allocator, rect, channels);
    if (!(last && output)) clearBorder(operations, target, extents[i + used]!);
    if (layer.op === 'residual') {
      const inner = grow(made, 1, extents[i]!);
      const hidden = allocate(allocator, growAll(made, 1), layer.first.outputs);
      clearBorder(operations, hidden, extents[i]!);
      barrier(operations);
      operations.push(convOperation(layer.first, current, inner, hidden, inner, quality));
      operations.push(
        convOperation(layer.second, hidden, made, target, made, quality, { of: current, limit: layer.limit }),
      );
      allocator.free(hidden.address);
    } else if (layer.op === 'row') {
      barrier(operations);
      operations.push(rowOperation(layer.row, layer.channels, layer.limit, current, target, made, quality));
    } else if (layer.op === 'unshuffle') {
      barrier(operations);
      operations.push(unshuffledConv(next as PackedConv, layer.factor, current, target, made, quality));
    } else if (layer.op === 'conv') {
      barrier(operations);
      if (next?.op === 'shuffle')
        pushShuffledConv(operations, layer, next.factor, current, low, target, quality);
      else operations.push(convOperation(layer, current, made, target, made, quality));
    }
    if (current !== input) allocator.free(current.address);
    current = target;
    i += used;
  }
  return { operations, output: current };
}

/** The rect that the input of `layers` must be stored in, zeros beyond the picture included, for an output window. */
export function inputRegionRect(layers: readonly PackedLayer[], window: Rect, extent: Extent): Rect {
  const shapes = layers as unknown as readonly Layer[];
  const windows = layerWindows(shapes, window, extent);
  return padded(layers, 0, windows[0]!, windows, layerExtents(shapes, extent));
}

/** The rect that the last of `layers` writes for an output window: a shuffle makes whole groups of sites. */
export function outputRegionRect(layers: readonly PackedLayer[], window: Rect, extent: Extent): Rect {
  const last = layers.at(-1)!;
  if (last.op !== 'shuffle') return window;
  const low = layerWindows(layers as unknown as readonly Layer[], window, extent).at(-2)!;
  return union(window, scaled(low, last.factor));
}

export function regionByteLength(rect: Rect, channels: number): number {
  return rect.height * rect.width * channels * 2;
}

/** Kernel calls that zero the sites of a region that lie beyond `extent`. */
export function clearBorder(operations: Operation[], region: Region, extent: Extent): void {
  const { rect, channels } = region;
  const pixel = channels * 2;
  const row = rect.width * pixel;
  const above = Math.max(0, -rect.top);
  const below = Math.max(0, rect.top + rect.height - extent.height);
  const before = Math.max(0, -rect.left);
  const behind = Math.max(0, rect.left + rect.width - extent.width);
  const push = (address: number, bytes: number, rows: number) => {
    if (bytes > 0 && rows > 0)
      operations.push({
        kernel: 'clear',
        args: [address, bytes, rows, row],
        fromArgument: 0,
        rows: 1,
        stripRows: 1,
        barrier: false,
      });
  };
  push(region.address, above * row, 1);
  push(region.address + (rect.height - below) * row, below * row, 1);
  push(region.address, before * pixel, rect.height);
  push(region.address + (rect.width - behind) * pixel, behind * pixel, rect.height);
}

/** One output group of a 1x1 convolution at every second row and column, from (row, column) on: what one step of the prior needs. Spec 3.6. */
export function groupOperation(
  conv: PackedConv,
  input: Region,
  output: Region,
  parity: { readonly row: number; readonly column: number },
  group: number,
  groups: number,
  quality: number,
): Operation | undefined {
  const { rect } = output;
  const rows = Math.ceil((rect.height - parity.row) / 2);
  const columns = Math.ceil((rect.width - parity.column) / 2);
  if (rows <= 0 || columns <= 0) return undefined;
  const outputs = conv.outputs / groups;
  const inPixel = input.channels * 2;
  const outPixel = output.channels * 2;
  const inRow = input.rect.width * inPixel;
  const outRow = rect.width * outPixel;
  return operationOf(conv, quality, {
    input: input.address + parity.row * inRow + parity.column * inPixel,
    inputRow: 2 * inRow,
    inputTap: 0,
    inputPixel: 2 * inPixel,
    run: conv.inputs * 2,
    taps: 1,
    firstBlock: (group * outputs) / 8,
    blocks: outputs / 8,
    output: output.address + parity.row * outRow + parity.column * outPixel + group * outputs * 2,
    outputRow: 2 * outRow,
    outputPixel: 2 * outPixel,
    rows,
    columns,
  });
}

/** A convolution at every second row and column of the output, from (row, column) on; `input` reaches as far beyond the output as the kernel. */
export function parityOperation(
  conv: PackedConv,
  input: Region,
  output: Region,
  window: Rect,
  parity: { readonly row: number; readonly column: number },
  quality: number,
): Operation | undefined {
  const rows = Math.ceil((window.height - parity.row) / 2);
  const columns = Math.ceil((window.width - parity.column) / 2);
  if (rows <= 0 || columns <= 0) return undefined;
  const radius = (conv.kernel - 1) / 2;
  const inPixel = input.channels * 2;
  const outPixel = output.channels * 2;
  const inRow = input.rect.width * inPixel;
  const row = window.top + parity.row;
  const column = window.left + parity.column;
  return operationOf(conv, quality, {
    input: siteAddress(input, row - radius, column - radius),
    inputRow: 2 * inRow,
    inputTap: inRow,
    inputPixel: 2 * inPixel,
    run: conv.kernel * inPixel,
    taps: conv.kernel,
    firstBlock: 0,
    blocks: conv.outputs / 8,
    output: siteAddress(output, row, column),
    outputRow: 2 * output.rect.width * outPixel,
    outputPixel: 2 * outPixel,
    rows,
    columns,
  });
}

/** Marks that everything so far must be done before what follows. */
function barrier(operations: Operation[]): void {
  const last = operations.at(-1);
  if (last && !last.barrier) operations[operations.length - 1] = { ...last, barrier: true };
}

function allocate(allocator: Allocator, rect: Rect, channels: number): Region {
  return { address: allocator.allocate(regionByteLength(rect, channels)), rect, channels };
}

/** The rect to store tensor `i` in: what layer i reads, with its zeros beyond the picture. */
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

function growAll({ top, left, height, width }: Rect, margin: number): Rect {
  return { top: top - margin, left: left - margin, height: height + 2 * margin, width: width + 2 * margin };
}

function scaled({ top, left, height, width }: Rect, factor: number): Rect {
  return { top: top * factor, left: left * factor, height: height * factor, width: width * factor };
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

/** Channels after the first `count` layers; the last of them decides. */
function channelsAfter(layers: readonly PackedLayer[], count: number): number {
  const layer = layers[count - 1]!;
  if (layer.op === 'conv') return layer.outputs;
  if (layer.op === 'residual') return layer.second.outputs;
  if (layer.op === 'row') return layer.channels;
  const before = layers[count - 2] as PackedConv;
  return layer.op === 'shuffle' ? before.outputs / (layer.factor * layer.factor) : 0;
}

/** Address of site (row, column) of a region. */
function siteAddress({ address, rect, channels }: Region, row: number, column: number): number {
  return address + ((row - rect.top) * rect.width + column - rect.left) * channels * 2;
}

interface ConvShape {
  readonly input: number;
  readonly inputRow: number;
  readonly inputTap: number;
  readonly inputPixel: number;
  readonly run: number;
  readonly taps: number;
  readonly firstBlock: number;
  readonly blocks: number;
  readonly output: number;
  readonly outputRow: number;
  readonly outputPixel: number;
  readonly rows: number;
  readonly columns: number;
  readonly residual?: {
    readonly address: number;
    readonly row: number;
    readonly pixel: number;
    readonly limit: number;
  };
}

/** Position of `from` among the arguments of the kernel `conv`. */
const CONV_FROM = 14;

function operationOf(conv: PackedConv, quality: number, shape: ConvShape): Operation {
  const { taps, run, firstBlock, rows, residual } = shape;
  const biasRow = conv.biasRows > 1 ? (quality - 1) * conv.outputs * 4 : 0;
  return {
    kernel: 'conv',
    args: [
      shape.input,
      shape.inputRow,
      shape.inputTap,
      shape.inputPixel,
      conv.weight + firstBlock * taps * run * 8,
      conv.bias + biasRow + firstBlock * 32,
      run,
      taps,
      shape.output,
      shape.outputRow,
      shape.outputPixel,
      residual?.address ?? 0,
      residual?.row ?? 0,
      residual?.pixel ?? 0,
      0,
      rows,
      shape.columns,
      shape.blocks,
      conv.shift,
      conv.limit,
      conv.leaky ? 1 : 0,
      residual?.limit ?? 0,
    ],
    fromArgument: CONV_FROM,
    rows,
    stripRows: stripRows(rows),
    barrier: true,
  };
}

function stripRows(rows: number): number {
  return Math.max(1, Math.ceil(rows / STRIPS));
}

/** A 1x1 or 3x3 convolution over `window` of the output, read from `input`, written to the same sites of `output`. */
function convOperation(
  conv: PackedConv,
  input: Region,
  window: Rect,
  output: Region,
  outputWindow: Rect,
  quality: number,
  residual?: { readonly of: Region; readonly limit: number },
): Operation {
  const radius = (conv.kernel - 1) / 2;
  const inPixel = input.channels * 2;
  const inRow = input.rect.width * inPixel;
  const outPixel = output.channels * 2;
  return operationOf(conv, quality, {
    input: siteAddress(input, window.top - radius, window.left - radius),
    inputRow: inRow,
    inputTap: inRow,
    inputPixel: inPixel,
    run: conv.kernel * inPixel,
    taps: conv.kernel,
    firstBlock: 0,
    blocks: conv.outputs / 8,
    output: siteAddress(output, outputWindow.top, outputWindow.left),
    outputRow: output.rect.width * outPixel,
    outputPixel: outPixel,
    rows: window.height,
    columns: window.width,
    ...(residual && {
      residual: {
        address: siteAddress(residual.of, window.top, window.left),
        row: residual.of.rect.width * residual.of.channels * 2,
        pixel: residual.of.channels * 2,
        limit: residual.limit,
      },
    }),
  });
}

/** unshuffle by k, then 1x1: k runs of k * C. */
function unshuffledConv(
  conv: PackedConv,
  k: number,
  input: Region,
  output: Region,
  window: Rect,
  quality: number,
): Operation {
  const inPixel = input.channels * 2;
  const inRow = input.rect.width * inPixel;
  const outPixel = output.channels * 2;
  return operationOf(conv, quality, {
    input: siteAddress(input, window.top * k, window.left * k),
    inputRow: inRow * k,
    inputTap: inRow,
    inputPixel: inPixel * k,
    run: inPixel * k,
    taps: k,
    firstBlock: 0,
    blocks: conv.outputs / 8,
    output: siteAddress(output, window.top, window.left),
    outputRow: output.rect.width * outPixel,
    outputPixel: outPixel,
    rows: window.height,
    columns: window.width,
  });
}

/** 1x1, then shuffle by k: for each dy, a run of k * C' outputs is k sites of one row. */
function pushShuffledConv(
  operations: Operation[],
  conv: PackedConv,
  k: number,
  input: Region,
  window: Rect,
  output: Region,
  quality: number,
): void {
  const inPixel = input.channels * 2;
  const outPixel = output.channels * 2;
  const outRow = output.rect.width * outPixel;
  const blocks = conv.outputs / k / 8;
  for (let dy = 0; dy < k; dy++) {
    const operation = operationOf(conv, quality, {
      input: siteAddress(input, window.top, window.left),
      inputRow: input.rect.width * inPixel,
      inputTap: 0,
      inputPixel: inPixel,
      run: inPixel,
      taps: 1,
      firstBlock: dy * blocks,
      blocks,
      output: siteAddress(output, window.top * k + dy, window.left * k),
      outputRow: outRow * k,
      outputPixel: outPixel * k,
      rows: window.height,
      columns: window.width,
    });
    operations.push(dy + 1 < k ? { ...operation, barrier: false } : operation);
  }
}

function rowOperation(
  row: number,
  channels: number,
  limit: number,
  input: Region,
  output: Region,
  window: Rect,
  quality: number,
): Operation {
  return {
    kernel: 'addRow',
    args: [
      siteAddress(input, window.top, window.left),
      input.rect.width * channels * 2,
      siteAddress(output, window.top, window.left),
      output.rect.width * channels * 2,
      row + (quality - 1) * channels * 4,
      0,
      window.height,
      window.width,
      channels,
      limit,
    ],
    fromArgument: 5,
    rows: window.height,
    stripRows: stripRows(window.height),
    barrier: true,
  };
}
