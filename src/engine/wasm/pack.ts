import type { Conv, Head, Layer, Model } from '../../network/model.ts';
import type { WasmHeap } from './heap.ts';

/** A convolution whose weights lie in wasm memory, in the kernel's order. */
export interface PackedConv {
  readonly op: 'conv';
  readonly kernel: 1 | 3;
  readonly inputs: number;
  readonly outputs: number;
  readonly shift: number;
  readonly limit: number;
  readonly leaky: boolean;
  readonly weight: number;
  readonly bias: number;
  readonly biasRows: number;
}

export type PackedLayer =
  | PackedConv
  | {
      readonly op: 'residual';
      readonly first: PackedConv;
      readonly second: PackedConv;
      readonly limit: number;
    }
  | { readonly op: 'unshuffle'; readonly factor: 2 | 4 }
  | { readonly op: 'shuffle'; readonly factor: 2 | 4 }
  | { readonly op: 'row'; readonly row: number; readonly channels: number; readonly limit: number };

/** The model's networks as addresses in wasm memory. Plain data: it travels to workers. */
export interface PackedNetworks {
  readonly analysis: readonly PackedLayer[];
  readonly hyperAnalysis: readonly PackedLayer[];
  readonly hyperSynthesis: readonly PackedLayer[];
  readonly prior: readonly {
    readonly trunk: readonly PackedLayer[];
    readonly mean: PackedConv;
    readonly deviation: PackedConv;
  }[];
  readonly synthesis: readonly PackedLayer[];
}

/** Copies all weights into wasm memory, where every thread finds them. */
export function packNetworks(model: Model, heap: WasmHeap): PackedNetworks {
  const layers = (list: readonly Layer[]) => list.map((layer) => packLayer(layer, heap));
  return {
    analysis: layers(model.analysis),
    hyperAnalysis: layers(model.hyperAnalysis),
    hyperSynthesis: layers(model.hyperSynthesis),
    prior: model.prior.map(({ trunk, mean, deviation }) => ({
      trunk: layers(trunk),
      mean: packConv(mean, heap),
      deviation: packConv(deviation, heap),
    })),
    synthesis: layers(model.synthesis),
  };
}

export function packLayer(layer: Layer, heap: WasmHeap): PackedLayer {
  switch (layer.op) {
    case 'conv':
      return packConv(layer, heap);
    case 'residual':
      return {
        op: 'residual',
        first: packConv(layer.first, heap),
        second: packConv(layer.second, heap),
        limit: layer.limit,
      };
    case 'row':
      return { op: 'row', row: place(heap, layer.row), channels: layer.channels, limit: layer.limit };
    default:
      return layer;
  }
}

/** [outputs][length] -> [outputs / 8][length / 2][2 halves][4 outputs][2]; biases get the rounding of the shift. */
function packConv(conv: Conv, heap: WasmHeap): PackedConv {
  const { kernel, inputs, outputs, shift, limit, leaky, biasRows } = conv;
  const length = kernel * kernel * inputs;
  const packed = new Int32Array((outputs * length) / 2);
  const pairs = new Int32Array(conv.weight.slice().buffer);
  const half = length / 2;
  for (let block = 0, at = 0; block < outputs; block += 8) {
    for (let pair = 0; pair < half; pair++) {
      for (let o = block; o < block + 8; o++) packed[at++] = pairs[o * half + pair]!;
    }
  }
  const rounding = (1 << shift) >> 1;
  return {
    op: 'conv',
    kernel,
    inputs,
    outputs,
    shift,
    limit,
    leaky,
    weight: place(heap, packed),
    bias: place(
      heap,
      conv.bias.map((value) => value + rounding),
    ),
    biasRows,
  };
}

/** The head's tensors as the kernel wants them. The part that depends on the cell comes with each query: see `writeHead`. */
export function headByteLength(head: Head): number {
  return 6 * 2 * head.hidden + 16;
}

/** Writes rowWeight, columnWeight, cell term, outputWeight, outputBias at `address`. Spec 4.4, 4.5. */
export function writeHead(
  head: Head,
  cellRow: number,
  cellColumn: number,
  depth: 8 | 16,
  buffer: ArrayBufferLike,
  address: number,
): void {
  const { hidden } = head;
  const vectors = new Int16Array(buffer, address, 6 * hidden);
  vectors.set(head.rowWeight, 0);
  vectors.set(head.columnWeight, hidden);
  const half = (1 << head.cellShift) >> 1;
  for (let k = 0; k < hidden; k++) {
    const sum = head.cellRowWeight[k]! * cellRow + head.cellColumnWeight[k]! * cellColumn + half;
    vectors[2 * hidden + k] = Math.max(-32768, Math.min(32767, sum >> head.cellShift));
  }
  vectors.set(head.outputWeight, 3 * hidden);
  const rounding = 1 << (headShift(head, depth) - 1);
  const bias = new Int32Array(buffer, address + 12 * hidden, 3);
  for (let o = 0; o < 3; o++) bias[o] = head.outputBias[o]! + rounding;
}

export function headShift(head: Head, depth: 8 | 16): number {
  return depth === 16 ? head.outputShift - 8 : head.outputShift;
}

function place(heap: WasmHeap, values: Int32Array): number {
  const address = heap.allocate(values.byteLength);
  new Int32Array(heap.memory.buffer, address, values.length).set(values);
  return address;
}
