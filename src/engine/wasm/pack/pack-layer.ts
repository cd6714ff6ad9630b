import { type Flow, through } from '../../../network/flow.ts';
import type { Conv, Layer } from '../../../network/model.ts';
import type { WasmHeap } from '../heap.ts';
import { type PackedWinograd, packWinograd } from './pack-winograd.ts';

/** A convolution whose weights and biases lie in wasm memory, in the order of the kernel `conv`. */
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
  /** Absent where the method cannot be used. */
  readonly winograd?: PackedWinograd | undefined;
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

/**
 * Copies the tensors of layers into wasm memory. `input`: the channels and limits that the first layer reads.
 */
export function packLayers(layers: readonly Layer[], input: Flow, heap: WasmHeap): PackedLayer[] {
  let flow = input;
  return layers.map((layer) => {
    const packed = packLayer(layer, Math.max(...flow.limits), heap);
    flow = through(layer, flow);
    return packed;
  });
}

function packLayer(layer: Layer, input: number, heap: WasmHeap): PackedLayer {
  switch (layer.op) {
    case 'conv':
      return packFast(layer, input, heap);
    case 'residual':
      return {
        op: 'residual',
        first: packFast(layer.first, input, heap),
        second: packFast(layer.second, layer.first.limit, heap),
        limit: layer.limit,
      };
    case 'row':
      return { op: 'row', row: place(heap, layer.row), channels: layer.channels, limit: layer.limit };
    default:
      return layer;
  }
}

function packFast(conv: Conv, input: number, heap: WasmHeap): PackedConv {
  const packed = packConv(conv, heap);
  return { ...packed, winograd: packWinograd(conv, packed.weight, input, heap) };
}

/**
 * Weights [outputs][length] -> [outputs / 8][length / 2][2 halves][4 outputs][2], where length is kernel *
 * kernel * inputs. Biases get the rounding of the shift added.
 */
export function packConv(conv: Conv, heap: WasmHeap): PackedConv {
  const { kernel, inputs, outputs, shift, limit, leaky, biasRows } = conv;
  const half = (kernel * kernel * inputs) / 2;
  const pairs = pairsOf(conv.weight);
  const weight = heap.allocate(pairs.byteLength);
  const packed = new Int32Array(heap.memory.buffer, weight, pairs.length);
  for (let o = 0, from = 0; o < outputs; o++) {
    const end = from + half;
    for (let at = (o >> 3) * half * 8 + (o & 7); from < end; at += 8) packed[at] = pairs[from++]!;
  }
  const bias = heap.allocate(conv.bias.byteLength);
  const biases = new Int32Array(heap.memory.buffer, bias, conv.bias.length);
  const rounding = (1 << shift) >> 1;
  for (let i = 0; i < biases.length; i++) biases[i] = conv.bias[i]! + rounding;
  return { op: 'conv', kernel, inputs, outputs, shift, limit, leaky, weight, bias, biasRows };
}

/** Weights two by two, as int32. Copies them only if they lie unaligned. */
function pairsOf(weight: Int16Array): Int32Array {
  const { buffer, byteOffset, length } = weight.byteOffset % 4 === 0 ? weight : weight.slice();
  return new Int32Array(buffer, byteOffset, length / 2);
}

/** Copies values into wasm memory. */
export function place(heap: WasmHeap, values: Int32Array): number {
  const address = heap.allocate(values.byteLength);
  new Int32Array(heap.memory.buffer, address, values.length).set(values);
  return address;
}
