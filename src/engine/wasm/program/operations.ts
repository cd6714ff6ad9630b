import type { Extent, Rect } from '../../engine.ts';
import type { Region } from '../heap.ts';
import type { PackedConv } from '../pack/pack-layer.ts';
import type { PackedWinograd } from '../pack/pack-winograd.ts';
import type { Operation } from './program.ts';

/** Kernel calls of single layers: their addresses, strides and strips. `kernels/*.ts` explains the arguments. */

/** Strips of an operation: many, so that threads finish at about the same time. */
const STRIPS = 64;

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

/**
 * For the prior (spec 3.6): a convolution at the sites of one parity, every second row and column of `window` from `parity` on. It makes part `group` of `groups`
 * equal parts of the outputs. `input` reaches as far beyond the window as the kernel. It need not have ended before the next operation begins.
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
  const outputs = conv.outputs / groups;
  const radius = (conv.kernel - 1) / 2;
  const inPixel = input.channels * 2;
  const outPixel = output.channels * 2;
  const inRow = input.rect.width * inPixel;
  const row = window.top + parity.row;
  const column = window.left + parity.column;
  const operation = operationOf(conv, quality, {
    input: siteAddress(input, row - radius, column - radius),
    inputRow: 2 * inRow,
    inputTap: inRow,
    inputPixel: 2 * inPixel,
    run: conv.kernel * inPixel,
    taps: conv.kernel,
    firstBlock: (group * outputs) / 8,
    blocks: outputs / 8,
    output: siteAddress(output, row, column) + group * outputs * 2,
    outputRow: 2 * output.rect.width * outPixel,
    outputPixel: 2 * outPixel,
    rows,
    columns,
  });
  operations.push({ ...operation, barrier: false });
}

/**
 * Gathers the input of a prior step over `window`: from h, whose first rows and columns are those of `window`, and from the latents y over `window`. Of the latents
 * it takes the groups that the first `coded` steps have coded, or all.
 */
export function gatherOperation(
  h: Region,
  y: Region,
  coded: number | 'all',
  input: Region,
  window: Rect,
): Operation {
  const all = coded === 'all';
  const pixel = y.channels * 2;
  return {
    kernel: 'gather',
    args: [
      h.address,
      h.rect.width * h.channels * 2,
      h.channels * 2,
      y.address,
      pixel,
      all ? pixel : pixel / 4,
      all ? 1 : coded,
      all ? 1 : 0,
      siteAddress(input, 0, 0),
      input.rect.width * input.channels * 2,
      0,
      window.height,
      window.width,
    ],
    fromArgument: 10,
    rows: window.height,
    stripRows: stripRows(window.height),
    barrier: true,
  };
}

/** Address of site (row, column) of a region. */
export function siteAddress({ address, rect, channels }: Region, row: number, column: number): number {
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

/** Position of `from` among the arguments of the kernels `conv` and `winograd`. */
const CONV_FROM = 14;

/** Least columns for `winograd`. With fewer, filling up groups of four tiles costs more than the method saves. */
const WINOGRAD_COLUMNS = 5;

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

export function stripRows(rows: number): number {
  return Math.max(1, Math.ceil(rows / STRIPS));
}

/** A 1x1 or 3x3 convolution over `window`, written to `outputWindow` of `output`; `residual`: added to it. */
export function convOperation(
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
  const operation = operationOf(conv, quality, {
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
  return conv.winograd && window.height >= 2 && window.width >= WINOGRAD_COLUMNS
    ? byWinograd(operation, conv.winograd)
    : operation;
}

/** A 3x3 convolution by the kernel `winograd`, whose rows are pairs of rows. */
function byWinograd(
  { args, rows: height, ...operation }: Operation,
  { weight, energyLimit }: PackedWinograd,
): Operation {
  const rows = Math.ceil(height / 2);
  return {
    ...operation,
    kernel: 'winograd',
    args: [...args, height, weight, energyLimit],
    rows,
    stripRows: stripRows(rows),
  };
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

/** A 1x1 convolution and the shuffle by k behind it, as k operations: for each dy, k * C outputs of a site are k sites of C channels in one row. */
export function pushShuffledConv(
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

export function rowOperation(
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
