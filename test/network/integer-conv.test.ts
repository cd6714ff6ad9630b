import { describe, expect, it } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { checkConv } from '../../src/network/bounds.ts';
import { convInputLimits, modelConvs } from '../../src/network/convs.ts';
import { integerConv } from '../../src/network/integer-conv.ts';
import type { Conv } from '../../src/network/model.ts';

/** A pointwise conv, all zero. */
function conv(inputs: number, outputs: number, shift = 10): Conv {
  return {
    op: 'conv',
    kernel: 1,
    inputs,
    outputs,
    weight: new Int16Array(inputs * outputs),
    bias: new Int32Array(outputs),
    biasRows: 1,
    shift,
    limit: 8191,
    leaky: false,
  };
}
const INPUT = [10000, 10000];

describe('integerConv', () => {
  it('gives back every convolution of the released model from its own integers', async () => {
    const model = await releasedModel();
    const limits = convInputLimits(model);
    for (const [i, present] of modelConvs<Conv>(model).entries()) {
      const { weight, bias, shift } = integerConv(present, present, limits[i]!);
      expect(shift).toBe(present.shift);
      // Compared as bytes: millions of them.
      expect(Buffer.compare(Buffer.from(weight.buffer), Buffer.from(present.weight.buffer))).toBe(0);
      expect(Buffer.compare(Buffer.from(bias.buffer), Buffer.from(present.bias.buffer))).toBe(0);
    }
  });

  it('rounds to the nearest integer, ties to even', () => {
    const values = { weight: [0.4, 0.6, -1.5, -2.5], bias: [7.5, -0.6] };
    const { weight, bias, shift } = integerConv(conv(2, 2), values, INPUT);
    expect(shift).toBe(10);
    expect([...weight]).toEqual([0, 1, -2, -2]);
    expect([...bias]).toEqual([8, -1]);
  });

  it('halves all values for weights beyond 16 bits', () => {
    const values = { weight: [32767.6, 5, 3, -7], bias: [101, -64] };
    const { weight, bias, shift } = integerConv(conv(2, 2), values, INPUT);
    expect(shift).toBe(9);
    expect([...weight]).toEqual([16384, 2, 2, -4]);
    expect([...bias]).toEqual([50, -32]);
  });

  it('halves as often as the accumulator asks, and no oftener', () => {
    const limits = new Array<number>(64).fill(32767);
    const present = conv(64, 1);
    // 64 * 30000 * 32767 is 29.3 * 2^31: five halvings.
    const weight = new Array<number>(64).fill(30000);
    const fitted = integerConv(present, { weight, bias: [1000] }, limits);
    expect(fitted.shift).toBe(5);
    expect(checkConv({ ...present, ...fitted }, limits)).toBeUndefined();
    const larger = { weight: Int16Array.from(weight, (w) => w / 16), bias: Int32Array.of(62), shift: 6 };
    expect(checkConv({ ...present, ...larger }, limits)).toMatch(/beyond 2\^31/);
  });

  it('refuses values that are not numbers, lengths of another conv, and weights that no shift makes fit', () => {
    const present = conv(2, 2, 2);
    const refused = (weight: number[], bias: number[]) =>
      expect(() => integerConv(present, { weight, bias }, INPUT)).toThrow(RequestError);
    refused([0, 0, Number.NaN, 0], [0, 0]);
    refused([0, 0, 0, 0], [Number.POSITIVE_INFINITY, 0]);
    refused([0, 0, 0], [0, 0]);
    refused([0, 0, 0, 0], [0]);
    refused([200000, 0, 0, 0], [0, 0]);
  });
});
