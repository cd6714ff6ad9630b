import { expect, it } from 'vitest';
import { WasmHeap } from '../../../src/engine/wasm/heap.ts';
import { packNetworks } from '../../../src/engine/wasm/pack/pack.ts';
import { packConv } from '../../../src/engine/wasm/pack/pack-layer.ts';
import { parseModel } from '../../../src/network/load.ts';
import type { Conv } from '../../../src/network/model.ts';
import { tinyModelBytes } from '../../fixtures/tiny-model.ts';

const model = parseModel(tinyModelBytes());

it('analysis is packed for the samples of pictures, which may be too large for Winograd', () => {
  const conv: Conv = {
    op: 'conv',
    kernel: 3,
    inputs: 48,
    outputs: 8,
    weight: new Int16Array(8 * 9 * 48).fill(1),
    bias: new Int32Array(8),
    biasRows: 1,
    shift: 4,
    limit: 8000,
    leaky: false,
  };
  const packed = (imageShift: number) => {
    const analysis = [{ op: 'unshuffle', factor: 4 }, conv] as const;
    return packNetworks({ ...model, analysis, imageShift }, new WasmHeap(false, 2 ** 26)).analysis[1];
  };
  expect(packed(4)).toMatchObject({ winograd: { energyLimit: expect.any(Number) } });
  expect(packed(3)).toMatchObject({ winograd: undefined });
});

it('steps of the prior behind the first have their first layer for each parity, with the channels that are coded', () => {
  const { prior } = packNetworks(model, new WasmHeap(false, 2 ** 26));
  const { priorChannels, latentChannels } = model;
  const inputs = prior.map(({ first }) => first?.map((conv) => conv.inputs));
  const coded = [1, 2, 3].map((t) => Array(4).fill(priorChannels + (t * latentChannels) / 4));
  expect(inputs).toEqual([undefined, ...coded]);
});

it('what is not shifted is not rounded', () => {
  const heap = new WasmHeap(false, 2 ** 20);
  const biases = (shift: number) => {
    const weight = new Int16Array(8);
    const conv = { op: 'conv', kernel: 1, inputs: 8, outputs: 1, limit: 9, leaky: false } as const;
    const { bias } = packConv({ ...conv, weight, bias: Int32Array.of(5), biasRows: 1, shift }, heap);
    return new Int32Array(heap.memory.buffer, bias, 1)[0];
  };
  expect([biases(0), biases(1), biases(4)]).toEqual([5, 6, 13]);
});
