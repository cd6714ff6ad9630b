import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Patch } from '../../../src/engine/engine.ts';
import { runLayers } from '../../../src/engine/reference/layers.ts';
import { WasmHeap } from '../../../src/engine/wasm/heap.ts';
import { packConv, packLayers } from '../../../src/engine/wasm/pack/pack-layer.ts';
import { type PackedWinograd, SCRATCH_BYTES } from '../../../src/engine/wasm/pack/pack-winograd.ts';
import { inputRegionRect, planLayers, regionByteLength } from '../../../src/engine/wasm/program/plan.ts';
import { type Kernels, runAlone } from '../../../src/engine/wasm/program/program.ts';
import { uniform } from '../../../src/network/flow.ts';
import type { Conv, Layer } from '../../../src/network/model.ts';
import { randomSource } from '../../fixtures/tiny-model.ts';

const module = await WebAssembly.compile(
  await readFile(new URL('../../../src/engine/wasm/kernels.wasm', import.meta.url)),
);
const LIMIT = 8191;
const ACCUMULATOR = 2 ** 31;

/** Random weights, as large as the proof of spec 3.8 lets them be, times `size`. */
function convOf(inputs: number, outputs: number, size: number, seed: number, shift = 14): Conv {
  const random = randomSource(seed);
  const length = 9 * inputs;
  const most = Math.min(8000, (size * ACCUMULATOR) / LIMIT / length);
  return {
    op: 'conv',
    kernel: 3,
    inputs,
    outputs,
    weight: Int16Array.from({ length: outputs * length }, () => (2 * random() - 1) * most),
    bias: Int32Array.from({ length: 100 * outputs }, () => (2 * random() - 1) * 2 ** 22),
    biasRows: 100,
    shift,
    limit: LIMIT,
    leaky: seed % 2 === 0,
  };
}

function patchOf(height: number, width: number, channels: number, value: (i: number) => number): Patch {
  const data = Int16Array.from({ length: height * width * channels }, (_, i) => value(i));
  return { rect: { top: 0, left: 0, height, width }, channels, data };
}

type Change = (winograd: PackedWinograd, heap: WasmHeap) => PackedWinograd;

const UNBOUNDED: Change = (winograd) => ({ ...winograd, energyLimit: 2 ** 31 - 1 });

/**
 * What the kernels make of layers over a whole picture, and which. `change`: what is made of how the
 * convolutions were packed.
 */
function byKernels(
  layers: readonly Layer[],
  input: Patch,
  quality: number,
  change: Change = (winograd) => winograd,
): { kernels: string[]; data: Int16Array } {
  const heap = new WasmHeap(false, 2 ** 28);
  const env = { memory: heap.memory, abort: () => {} };
  const kernels = new WebAssembly.Instance(module, { env }).exports as unknown as Kernels;
  const packed = packLayers(layers, uniform(input.channels, LIMIT), heap).map((layer) =>
    layer.op === 'conv' && layer.winograd ? { ...layer, winograd: change(layer.winograd, heap) } : layer,
  );
  kernels.useScratch(heap.allocate(SCRATCH_BYTES));
  const { rect, channels } = input;
  const region = { rect: inputRegionRect(packed, rect, rect), channels };
  const address = heap.allocate(regionByteLength(region.rect, channels));
  const plan = planLayers(packed, { ...region, address }, rect, rect, quality, heap);
  heap.write({ ...region, address }, input, rect);
  runAlone(kernels, plan.operations);
  const used = plan.operations.map(({ kernel }) => kernel).filter((kernel) => kernel !== 'clear');
  return { kernels: used, data: heap.read(plan.output, rect) };
}

const SHAPES = [
  [2, 5, 8, 8],
  [2, 33, 16, 24],
  [3, 6, 64, 64],
  [5, 31, 8, 16],
  [8, 34, 72, 8],
  [7, 67, 16, 32],
  [4, 16, 512, 8],
] as const;

describe('3x3 convolutions with 16 products for four outputs', () => {
  it.each(SHAPES)(
    'are those of the reference, %d x %d outputs, %d to %d channels',
    (height, width, inputs, outputs) => {
      const conv = convOf(inputs, outputs, 0.9, height);
      const random = randomSource(width);
      // Tiles of both kinds side by side: small activations here, ones at the limits there.
      const input = patchOf(height, width, inputs, (i) => {
        const loud = Math.floor(i / inputs) % width > 20;
        return Math.round((2 * random() - 1) ** (loud ? 1 : 9) * LIMIT);
      });
      const expected = runLayers([conv], input, input.rect, input.rect, 37);
      const made = byKernels([conv], input, 37);
      expect(made.kernels).toEqual(['winograd']);
      expect(made.data).toEqual(expected.data);
    },
  );

  it('are those of the reference in residuals, whose sums are clamped', () => {
    const residual: Layer = {
      op: 'residual',
      first: convOf(32, 16, 0.5, 2, 11),
      second: convOf(16, 32, 0.5, 3, 11),
      limit: 5000,
    };
    const random = randomSource(4);
    const input = patchOf(9, 41, 32, () => Math.round((2 * random() - 1) * 3000));
    const made = byKernels([residual], input, 100);
    expect(made.kernels).toEqual(['winograd', 'winograd']);
    expect(made.data).toEqual(runLayers([residual], input, input.rect, input.rect, 100).data);
    expect(made.data.filter((value) => Math.abs(value) === 5000).length).toBeGreaterThan(100);
  });

  it('are exact up to the largest accumulators, where activations are as alike the weights as can be', () => {
    // The sum of 9 * 16 * w * d: w so that it comes to 2^31 where d is at its limit.
    const weight = Math.floor(ACCUMULATOR / LIMIT / (9 * 16)) - 2;
    const conv = {
      ...convOf(16, 8, 0, 1, 16),
      weight: new Int16Array(8 * 9 * 16).fill(weight),
      bias: new Int32Array(8),
      biasRows: 1,
      limit: 32767,
    };
    let above = 0;
    let wrong = 0;
    for (let value = 500; value <= LIMIT; value = Math.min(value + 97, value === LIMIT ? LIMIT + 1 : LIMIT)) {
      const input = patchOf(4, 40, 16, () => value);
      const expected = runLayers([conv], input, input.rect, input.rect, 1).data;
      expect(byKernels([conv], input, 1).data).toEqual(expected);
      const unbounded = byKernels([conv], input, 1, UNBOUNDED).data;
      if (9 * 16 * weight * value >= 2 ** 29) above++;
      if (Buffer.compare(Buffer.from(unbounded.buffer), Buffer.from(expected.buffer)) !== 0) wrong++;
    }
    // Without the bound of the energy they are wrong from there on.
    expect(above).toBeGreaterThan(40);
    expect(wrong).toBe(above);
  });

  it('leave tiles to the other kernel where activations are large, and nowhere else', () => {
    const conv = convOf(64, 64, 0.5, 5);
    const random = randomSource(6);
    const size = (i: number) => (Math.floor(i / 64) % 96 < 32 ? LIMIT : 1000);
    const input = patchOf(6, 96, 64, (i) => (random() < 0.5 ? -size(i) : size(i)));
    const expected = byKernels([conv], input, 50).data;
    const withoutFilters = byKernels([conv], input, 50, (winograd, heap) => {
      new Int16Array(heap.memory.buffer, winograd.weight, 64 * 64 * 16).fill(0);
      return winograd;
    }).data;
    const changed = Array.from({ length: 96 }, () => 0);
    for (const [i, value] of expected.entries())
      if (withoutFilters[i] !== value) changed[Math.floor(i / 64) % 96]!++;
    // 16 tiles go together, whose activations reach a column further on each side.
    expect(changed.slice(0, 32)).toEqual(Array.from({ length: 32 }, () => 0));
    expect(Math.min(...changed.slice(64))).toBeGreaterThan(6 * 60);
  });

  it.each([
    ['activations of more than 13 bits and a sign', convOf(8, 8, 0.5, 1), LIMIT + 1],
    [
      'filters that do not fit 16 bits',
      { ...convOf(8, 8, 0, 1), weight: new Int16Array(576).fill(3641) },
      LIMIT,
    ],
    [
      'filters that do not fit 16 bits because of their signs',
      {
        ...convOf(8, 8, 0, 1),
        weight: Int16Array.from({ length: 576 }, (_, i) => (((i >> 3) % 9) % 2 ? -3641 : 3641)),
      },
      LIMIT,
    ],
    ['channels that do not fill vectors', convOf(12, 8, 0.5, 1), LIMIT],
    ['more channels than its memory is made for', convOf(520, 8, 0.5, 1), LIMIT],
    ['shifts of 30 bits', convOf(8, 8, 0.5, 1, 30), LIMIT],
  ] as const)('are not for %s', (_title, conv, limit) => {
    const [heap, without] = [new WasmHeap(false, 2 ** 28), new WasmHeap(false, 2 ** 28)];
    const [packed] = packLayers([conv], uniform(conv.inputs, limit), heap);
    expect(packed).toMatchObject({ op: 'conv', winograd: undefined });
    packConv(conv, without);
    expect(heap.allocate(1), 'they take no memory then').toBe(without.allocate(1));
  });

  it('are not for what a residual hands on to its second one with more than 13 bits and a sign', () => {
    const first = { ...convOf(8, 8, 0.5, 1), limit: LIMIT + 1 };
    const residual: Layer = { op: 'residual', first, second: convOf(8, 8, 0.5, 2), limit: LIMIT };
    const [packed] = packLayers([residual], uniform(8, LIMIT), new WasmHeap(false, 2 ** 28));
    expect(packed).toMatchObject({ first: { winograd: {} }, second: { winograd: undefined } });
  });

  it.each([
    [1, 40],
    [40, 4],
  ])('are not for %d x %d outputs', (height, width) => {
    const conv = convOf(8, 8, 0.5, 1);
    const input = patchOf(height, width, 8, (i) => i);
    const made = byKernels([conv], input, 1);
    expect(made.kernels).toEqual(['conv']);
    expect(made.data).toEqual(runLayers([conv], input, input.rect, input.rect, 1).data);
  });
});
