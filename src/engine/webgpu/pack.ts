import type { Conv, Head, Layer, Row } from '../../network/model.ts';

/** Constants of the kernels: outputs of a workgroup, and pairs of inputs in a slice, by kernel size. */
const OUTPUTS = 32;
const SLICE_PAIRS = { 1: 16, 3: 8 } as const;
/** GPUBufferUsage, which Node does not have as a global. */
const USAGE = { copyDestination: 8, storage: 128 } as const;

/**
 * Weights as conv1x1.wgsl and conv3x3.wgsl read them: [outputs / 32][slice][tap][pair][32 outputs], a pair of
 * inputs in each word, zeros where a slice or block is not full.
 */
function packWeights({ kernel, inputs, outputs, weight }: Conv): Uint32Array {
  const slicePairs = SLICE_PAIRS[kernel];
  const taps = kernel * kernel;
  const pairs = inputs / 2;
  const slices = Math.ceil(pairs / slicePairs);
  const blocks = Math.ceil(outputs / OUTPUTS);
  const packed = new Uint32Array(blocks * slices * taps * slicePairs * OUTPUTS);
  let at = 0;
  for (let block = 0; block < blocks; block++) {
    for (let slice = 0; slice < slices; slice++) {
      for (let tap = 0; tap < taps; tap++) {
        for (let p = slice * slicePairs; p < (slice + 1) * slicePairs; p++) {
          for (let o = block * OUTPUTS; o < (block + 1) * OUTPUTS; o++, at++) {
            if (p >= pairs || o >= outputs) continue;
            const from = (o * taps + tap) * inputs + 2 * p;
            packed[at] = (weight[from]! & 0xffff) | (weight[from + 1]! << 16);
          }
        }
      }
    }
  }
  return packed;
}

/**
 * The head's weights as head.wgsl reads them. For each eight hidden units, the even and the odd ones of: row
 * weight, column weight, output weights of red, green, blue.
 */
export function packHead(head: Head): Int32Array {
  const { hidden, rowWeight, columnWeight, outputWeight } = head;
  const rows = [rowWeight, columnWeight];
  for (let o = 0; o < 3; o++) rows.push(outputWeight.subarray(o * hidden, (o + 1) * hidden));
  const packed = new Int32Array(hidden * rows.length);
  for (let octet = 0, at = 0; octet < hidden; octet += 8)
    for (const row of rows) at = packOctet(row, octet, packed, at);
  return packed;
}

/** Writes the even units of eight, then the odd ones. Returns the index behind them. */
export function packOctet(values: ArrayLike<number>, octet: number, into: Int32Array, at: number): number {
  for (let k = 0; k < 8; k += 2, at++) {
    into[at] = values[octet + k]!;
    into[at + 4] = values[octet + k + 1]!;
  }
  return at + 4;
}

/** The tensors of a convolution or a row on the device. */
export interface DeviceTensors {
  /** Absent for rows. */
  readonly weights?: GPUBuffer;
  /** Biases, or the values of a row, by quality. */
  readonly bias: GPUBuffer;
  /** The kernel that they are packed for, if that is not the one of the plan. */
  readonly pipeline?: GPUComputePipeline;
}

/**
 * Packs a convolution for a kernel other than conv1x1 and conv3x3, which makes the same sites and outputs in
 * a workgroup. Undefined if it cannot make this convolution.
 */
export type ConvKernel = (conv: Conv) =>
  | {
      readonly weights: ArrayBufferView;
      readonly bias: Int32Array;
      readonly pipeline: GPUComputePipeline;
    }
  | undefined;

/** Tensors of layers, by the convolution or row that they belong to. */
export type DeviceNetwork = ReadonlyMap<Conv | Row, DeviceTensors>;

/**
 * Copies the tensors of these layers to the device. `upload` makes a buffer of data; `kernel` is used for the
 * convolutions that it can make.
 */
export function uploadLayers(
  layers: readonly Layer[],
  upload: (data: ArrayBufferView) => GPUBuffer,
  kernel?: ConvKernel,
): Map<Conv | Row, DeviceTensors> {
  const tensors = new Map<Conv | Row, DeviceTensors>();
  const conv = (layer: Conv) => {
    const made = kernel?.(layer) ?? { weights: packWeights(layer), bias: layer.bias };
    tensors.set(layer, { ...made, weights: upload(made.weights), bias: upload(made.bias) });
  };
  for (const layer of layers) {
    if (layer.op === 'conv') conv(layer);
    if (layer.op === 'row') tensors.set(layer, { bias: upload(layer.row) });
    if (layer.op === 'residual') {
      conv(layer.first);
      conv(layer.second);
    }
  }
  return tensors;
}

/** A buffer on the device with this data. */
export function createTensor(device: GPUDevice, data: ArrayBufferView): GPUBuffer {
  const size = Math.max(16, Math.ceil(data.byteLength / 16) * 16);
  const buffer = device.createBuffer({ size, usage: USAGE.storage | USAGE.copyDestination });
  device.queue.writeBuffer(buffer, 0, data as ArrayBufferView<ArrayBuffer>);
  return buffer;
}
