import type { Extent, Rect } from '../../engine.ts';
import type { Region } from '../heap.ts';
import type { PackedConv } from '../pack/pack-layer.ts';
import type { Operation } from './program.ts';

/**
 * Kernel calls of single layers: their addresses, strides and strips. `kernels/*.ts` explains the arguments.
 */

/** Strips of an operation: many, so that threads finish at about the same time. */
const STRIPS = 64;

/** A kernel call that has to end before the next one begins. */
export function operation(kernel: Operation['kernel'], rows: number, args: readonly number[]): Operation {
  return { kernel, args, rows, stripRows: Math.max(1, Math.ceil(rows / STRIPS)), barrier: true };
}

/** Bytes of a site. */
const pixelBytes = ({ channels }: Region): number => channels * 2;

/** Bytes of a row of sites. */
export const rowBytes = (region: Region): number => region.rect.width * pixelBytes(region);

/** Address of site (row, column) of a region. */
export function siteAddress(region: Region, row: number, column: number): number {
  const { address, rect } = region;
  return address + (row - rect.top) * rowBytes(region) + (column - rect.left) * pixelBytes(region);
}

/** Kernel calls that zero the sites of a region that lie beyond `extent`. */
export function clearBorder(operations: Operation[], region: Region, extent: Extent): void {
  const { address, rect } = region;
  const pixel = pixelBytes(region);
  const row = rowBytes(region);
  const above = Math.max(0, -rect.top);
  const below = Math.max(0, rect.top + rect.height - extent.height);
  const before = Math.max(0, -rect.left);
  const behind = Math.max(0, rect.left + rect.width - extent.width);
  const push = (start: number, bytes: number, rows: number) => {
    if (bytes > 0 && rows > 0)
      operations.push({ kernel: 'clear', args: [start, bytes, row], rows, stripRows: rows, barrier: false });
  };
  push(address, row, above);
  push(address + (rect.height - below) * row, row, below);
  push(address, before * pixel, rect.height);
  push(address + (rect.width - behind) * pixel, behind * pixel, rect.height);
}

/**
 * For the prior (spec 3.6): a convolution at the sites of one parity, every second row and column of `window`
 * from `parity` on. It makes part `group` of `groups` equal parts of the outputs. `input` reaches as far
 * beyond the window as the kernel. It need not have ended before the next operation begins.
 */
export function pushParityConv(
  operations: Operation[],
  conv: PackedConv,
  input: Region,
  output: Region,
  window: Rect,
  parity: { readonly row: number; readonly column: number },
  quality: number,
  group = 0,
  groups = 1,
): void {
  const rows = Math.ceil((window.height - parity.row) / 2);
  const columns = Math.ceil((window.width - parity.column) / 2);
  if (rows <= 0 || columns <= 0) return;
  const radius = (conv.kernel - 1) / 2;
  const row = window.top + parity.row;
  const column = window.left + parity.column;
  const blocks = conv.outputs / groups / 8;
  const firstBlock = group * blocks;
  const call = convCall(conv, quality, {
    input,
    from: siteAddress(input, row - radius, column - radius),
    inputStep: 2,
    firstBlock,
    blocks,
    output,
    to: siteAddress(output, row, column) + firstBlock * BLOCK_BYTES,
    outputStep: 2,
    rows,
    columns,
  });
  operations.push({ ...call, barrier: false });
}

/**
 * Gathers the input of a prior step over `window`: from h, whose first rows and columns are those of
 * `window`, and from the latents y over `window`. Of the latents it takes the groups that the first `coded`
 * steps have coded, or all.
 */
export function gatherOperation(
  h: Region,
  y: Region,
  coded: number | 'all',
  input: Region,
  window: Rect,
): Operation {
  const latents = pixelBytes(y);
  return operation('gather', window.height, [
    h.address,
    rowBytes(h),
    pixelBytes(h),
    y.address,
    latents,
    ...(coded === 'all' ? [latents, 1, 1] : [latents / 4, coded, 0]),
    siteAddress(input, 0, 0),
    rowBytes(input),
    window.width,
  ]);
}

/** Outputs are made eight at a time, a block. */
const BLOCK_OUTPUTS = 8;
const BLOCK_BYTES = 2 * BLOCK_OUTPUTS;

/** Where a call of the kernel `conv` reads and writes. */
interface ConvPlaces {
  readonly input: Region;
  /** Address of the first site that is read. */
  readonly from: number;
  /** Sites from what one output site reads to what the next reads, both ways. Default 1. */
  readonly inputStep?: number;
  /** An output site reads `taps` x `taps` sites. Default: the kernel's size. */
  readonly taps?: number;
  /** Of the outputs. Default: all. */
  readonly firstBlock?: number;
  readonly blocks?: number;
  readonly output: Region;
  /** Address of the first site that is written, or of the first of its channels. */
  readonly to: number;
  /** Sites from one output site to the next, both ways. Default 1. */
  readonly outputStep?: number;
  /** Output sites. */
  readonly rows: number;
  readonly columns: number;
  /** Address of the first site that is added, and the limit of the sums. */
  readonly residual?: { readonly of: Region; readonly address: number; readonly limit: number } | undefined;
}

function convCall(conv: PackedConv, quality: number, places: ConvPlaces): Operation {
  const { input, output, inputStep = 1, outputStep = 1, taps = conv.kernel, firstBlock = 0, rows } = places;
  const { blocks = conv.outputs / BLOCK_OUTPUTS, residual } = places;
  const biasRow = conv.biasRows > 1 ? (quality - 1) * conv.outputs : 0;
  const run = taps * pixelBytes(input);
  return operation('conv', rows, [
    places.from,
    inputStep * rowBytes(input),
    rowBytes(input),
    inputStep * pixelBytes(input),
    conv.weight + firstBlock * BLOCK_OUTPUTS * taps * run,
    conv.bias + 4 * (biasRow + firstBlock * BLOCK_OUTPUTS),
    run,
    taps,
    places.to,
    outputStep * rowBytes(output),
    outputStep * pixelBytes(output),
    ...(residual ? [residual.address, rowBytes(residual.of), pixelBytes(residual.of)] : [0, 0, 0]),
    places.columns,
    blocks,
    conv.shift,
    conv.limit,
    conv.leaky ? 1 : 0,
    residual?.limit ?? 0,
  ]);
}

/**
 * Least columns for `winograd`. With fewer, filling up groups of four tiles costs more than the method saves.
 */
const WINOGRAD_COLUMNS = 5;

/** A 1x1 or 3x3 convolution over `window`; `residual`: added to it. */
export function convOperation(
  conv: PackedConv,
  input: Region,
  output: Region,
  window: Rect,
  quality: number,
  residual?: { readonly of: Region; readonly limit: number },
): Operation {
  const { top, left, height, width } = window;
  const radius = (conv.kernel - 1) / 2;
  const call = convCall(conv, quality, {
    input,
    from: siteAddress(input, top - radius, left - radius),
    output,
    to: siteAddress(output, top, left),
    rows: height,
    columns: width,
    residual: residual && { ...residual, address: siteAddress(residual.of, top, left) },
  });
  if (!conv.winograd || height < 2 || width < WINOGRAD_COLUMNS) return call;
  // The rows of this kernel are pairs of rows.
  const { weight, energyLimit } = conv.winograd;
  return operation('winograd', Math.ceil(height / 2), [...call.args, height, weight, energyLimit]);
}

/** An unshuffle by k and the 1x1 convolution behind it: k runs of k * C activations. */
export function unshuffledConv(
  conv: PackedConv,
  k: number,
  input: Region,
  output: Region,
  window: Rect,
  quality: number,
): Operation {
  return convCall(conv, quality, {
    input,
    from: siteAddress(input, window.top * k, window.left * k),
    inputStep: k,
    taps: k,
    output,
    to: siteAddress(output, window.top, window.left),
    rows: window.height,
    columns: window.width,
  });
}

/**
 * A 1x1 convolution and the shuffle by k behind it, as k operations: for each dy, k * C outputs of a site are
 * k sites of C channels in one row.
 */
export function pushShuffledConv(
  operations: Operation[],
  conv: PackedConv,
  k: number,
  input: Region,
  output: Region,
  window: Rect,
  quality: number,
): void {
  const blocks = conv.outputs / k / BLOCK_OUTPUTS;
  for (let dy = 0; dy < k; dy++) {
    const call = convCall(conv, quality, {
      input,
      from: siteAddress(input, window.top, window.left),
      firstBlock: dy * blocks,
      blocks,
      output,
      to: siteAddress(output, window.top * k + dy, window.left * k),
      outputStep: k,
      rows: window.height,
      columns: window.width,
    });
    operations.push({ ...call, barrier: dy + 1 === k });
  }
}

export function rowOperation(
  row: number,
  limit: number,
  input: Region,
  output: Region,
  window: Rect,
  quality: number,
): Operation {
  const { channels } = input;
  return operation('addRow', window.height, [
    siteAddress(input, window.top, window.left),
    rowBytes(input),
    siteAddress(output, window.top, window.left),
    rowBytes(output),
    row + (quality - 1) * channels * 4,
    window.width,
    channels,
    limit,
  ]);
}

/** `values` times the slope of the activation that made `activations`, over `window`. */
export function slopeOperation(values: Region, activations: Region, window: Rect): Operation {
  return operation('slope', window.height, [
    siteAddress(values, window.top, window.left),
    rowBytes(values),
    siteAddress(activations, window.top, window.left),
    rowBytes(activations),
    window.width * values.channels * 2,
  ]);
}
