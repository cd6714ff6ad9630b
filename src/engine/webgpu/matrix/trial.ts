import type { Conv } from '../../../network/model.ts';
import { BufferPool } from '../buffer-pool.ts';
import { DeviceWindows } from '../device-windows.ts';
import type { Kernels } from '../kernels.ts';
import { LayerRunner } from '../layer-runner.ts';
import { type ConvKernel, createTensor, uploadLayers } from '../pack.ts';
import { tensorBytes } from '../plan.ts';
import { ReadbackRing, readTensor } from '../readback.ts';
import { Submitter } from '../submission.ts';

const MOST_BYTES = 2 ** 29;

export interface TrialOptions {
  readonly side: number;
  readonly layers: number;
  readonly runs: number;
  readonly kernel?: ConvKernel;
}

export interface TrialResult {
  readonly output: Int16Array;
  /** Of the fastest run. */
  readonly seconds: number;
}

/**
 * Runs a convolution, of as many outputs as inputs, over a picture of side x side sites, `layers` times one
 * after the other, by `kernel` or else by multiply-adds. Does all that `runs` times.
 */
export async function tryConvolution(
  open: Kernels,
  conv: Conv,
  { side, layers, runs, kernel }: TrialOptions,
): Promise<TrialResult> {
  const pool = new BufferPool(open.device, { maxBytes: MOST_BYTES, maxFreeBytes: MOST_BYTES });
  const ring = new ReadbackRing(open);
  const weights: GPUBuffer[] = [];
  try {
    const upload = (data: ArrayBufferView) => {
      const buffer = createTensor(open.device, data);
      weights.push(buffer);
      return buffer;
    };
    const tensors = uploadLayers([conv], upload, kernel);
    const submitter = new Submitter(open, pool);
    const runner = new LayerRunner(open.device, open.pipelines, tensors);
    const limits = { binding: open.maxBindingBytes, scratch: MOST_BYTES };
    const windows = new DeviceWindows(open, pool, submitter, runner, limits);
    const rect = { top: 0, left: 0, height: side, width: side };
    const output = { rect, channels: conv.outputs };
    const network = Array.from({ length: layers }, () => conv);
    const input = { rect, channels: conv.inputs, data: pseudoRandom(side * side * conv.inputs) };
    let seconds = Number.POSITIVE_INFINITY;
    let made: GPUBuffer | undefined;
    for (let i = 0; i < runs; i++) {
      if (made) pool.free(made);
      const start = performance.now();
      made = await windows.make(network, input, rect, output, 1, () => {});
      seconds = Math.min(seconds, (performance.now() - start) / 1000);
    }
    return { output: await readTensor(ring, submitter, made!, tensorBytes(output)), seconds };
  } finally {
    pool.destroy();
    ring.destroy();
    for (const buffer of weights) buffer.destroy();
  }
}

/** Numbers of the whole range of int16, the same each time. */
export function pseudoRandom(length: number): Int16Array {
  const numbers = new Int16Array(length);
  for (let i = 0; i < length; i++) numbers[i] = Math.imul(i + 1, 0x9e3779b1) >> 16;
  return numbers;
}
