import { describe, expect, it } from 'vitest';
import { checkConv, checkHead, checkHyper, checkLatent, checkRow } from '../../src/network/bounds.ts';

/** Values that add up to 2^31 - 1, the most an accumulator may reach. */
const MOST = 2 ** 31 - 1;

describe('the bound of a conv', () => {
  const conv = (bias: number[], shift: number) => ({
    op: 'conv' as const,
    kernel: 1 as const,
    inputs: 2,
    outputs: 2,
    weight: Int16Array.of(3, -5, -7, 11),
    bias: Int32Array.from(bias),
    biasRows: bias.length / 2,
    shift,
    limit: 1,
    leaky: false,
  });

  it('adds weights times limits, the largest bias of all qualities and half of the shift', () => {
    const [first, second] = [MOST - 3 * 100 - 5 * 10, MOST - 7 * 100 - 11 * 10];
    expect(checkConv(conv([first, second], 0), [100, 10])).toBeUndefined();
    expect(checkConv(conv([1, 1, -first, -second], 0), [100, 10])).toBeUndefined();
    expect(checkConv(conv([1, 1, -first - 1, 1], 0), [100, 10])).toMatch(/output 0 can reach 2147483648/);
    expect(checkConv(conv([1, second + 1], 0), [100, 10])).toMatch(/output 1 can reach 2147483648/);
    expect(checkConv(conv([first - 4, 1], 3), [100, 10])).toBeUndefined();
    expect(checkConv(conv([first - 3, 1], 3), [100, 10])).toMatch(/output 0/);
  });
});

it('the bound of a row adds the limit of each channel', () => {
  const row = (...values: number[]) => ({
    op: 'row' as const,
    row: Int32Array.from(values),
    channels: 2,
    limit: 1,
  });
  expect(checkRow(row(MOST - 5, MOST - 7), [5, 7])).toBeUndefined();
  expect(checkRow(row(MOST - 4, 1), [5, 7])).toMatch(/channel 0/);
  expect(checkRow(row(1, 1, 1, 6 - MOST), [5, 7])).toMatch(/channel 1/);
});

describe('the bound of latents', () => {
  const latent = (step: number[], deviationOffset: number[], stepBits = 1) => ({
    limit: 1,
    stepBits,
    step: Int32Array.from(step),
    deviationShift: 0,
    deviationOffset: Int32Array.from(deviationOffset),
  });

  it('allows steps from 1 to the largest that 2^15 symbols leave room for', () => {
    expect(checkLatent(latent([1, 65535], [0, 0]), 2, 0)).toBeUndefined();
    expect(checkLatent(latent([0, 1], [0, 0]), 2, 0)).toBe('a latent step is less than 1');
    expect(checkLatent(latent([65536, 1], [0, 0]), 2, 0)).toMatch(/latent channel 0/);
    expect(checkLatent(latent([1, 65536], [0, 0]), 2, 0)).toMatch(/latent channel 1/);
    expect(checkLatent(latent([1, 65535], [0, 0], 16), 2, 0)).toMatch(/latent channel 1/);
  });

  it('adds offset and limit of the deviation', () => {
    expect(checkLatent(latent([1, 1], [-MOST + 9, MOST - 9]), 2, 9)).toBeUndefined();
    expect(checkLatent(latent([1, 1], [-MOST + 8, 0]), 2, 9)).toMatch(/deviation of channel 0/);
    expect(checkLatent(latent([1, 1], [0, MOST - 8]), 2, 9)).toMatch(/deviation of channel 1/);
  });
});

it('the bound of hyper latents adds 2^15 symbols, the offset and half of a step', () => {
  const hyper = (step: number[], offset: number[]) => ({
    limit: 1,
    stepBits: 4,
    step: Int32Array.from(step),
    offset: Int32Array.from(offset),
    table: new Int16Array(2),
  });
  const room = MOST - 32768 * 60_000 - 8;
  expect(checkHyper(hyper([60_000, 60_000], [room, -room]), 2)).toBeUndefined();
  expect(checkHyper(hyper([1, 1], [0, 0]), 2)).toBeUndefined();
  expect(checkHyper(hyper([1, 0], [0, 0]), 2)).toBe('a hyper step is less than 1');
  expect(checkHyper(hyper([60_000, 60_000], [room + 1, 0]), 2)).toMatch(/hyper channel 0/);
  expect(checkHyper(hyper([60_000, 60_000], [0, -room - 1]), 2)).toMatch(/hyper channel 1/);
});

describe('the bound of the head', () => {
  const head = (bias: number[], outputs: number[], cellWeight = 0) => ({
    hidden: 2,
    limit: 1,
    rowWeight: new Int16Array(2),
    columnWeight: new Int16Array(2),
    cellRowWeight: Int16Array.of(cellWeight, cellWeight),
    cellColumnWeight: Int16Array.of(cellWeight, cellWeight),
    cellShift: 24,
    outputWeight: Int16Array.from(outputs),
    outputBias: Int32Array.from(bias),
    outputShift: 9,
  });

  it('adds the weights of every output times the largest value, its bias and half of its shift', () => {
    const room = MOST - 256 - 7 * 32767;
    for (const output of [0, 1, 2]) {
      const weights = [0, 0, 0, 0, 0, 0].map((_, i) => [-3, 4][i - 2 * output] ?? 0);
      const bias = (value: number) => [0, 1, 2].map((o) => (o === output ? value : 0));
      expect(checkHead(head(bias(-room), weights))).toBeUndefined();
      expect(checkHead(head(bias(-room - 1), weights))).toMatch(`output ${output}`);
    }
  });

  it('leaves room for cells whatever their weights are', () => {
    expect(checkHead(head([0, 0, 0], [0, 0, 0, 0, 0, 0], -32768))).toBeUndefined();
  });
});
