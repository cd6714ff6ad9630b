import { describe, expect, it } from 'vitest';
import { codingTables } from '../../src/entropy/cdf-table.ts';
import { dequantize, quantize } from '../../src/quantize/quantize.ts';
import { chooseSymbols } from '../../src/quantize/rate-distortion.ts';
import { randomSource } from '../fixtures/tiny-model.ts';

describe('quantize', () => {
  it('rounds to the nearest symbol, ties away from zero, both signs alike', () => {
    expect([0, 49, 50, 51, 149, 150].map((d) => quantize(d, 100))).toEqual([0, 0, 1, 1, 1, 2]);
    for (const d of [1, 49, 50, 51, 149, 150, 12345]) expect(quantize(-d, 100)).toBe(-quantize(d, 100));
  });

  it('stays within 16 bits', () => {
    expect(quantize(65535 * 2 ** 24, 1)).toBe(32767);
    expect(quantize(-65535 * 2 ** 24, 1)).toBe(-32768);
  });
});

describe('dequantize', () => {
  it('rounds to nearest, ties towards plus infinity', () => {
    expect([1, 3, -1, -3, 5].map((n) => dequantize(n, 1, 1))).toEqual([1, 2, 0, -1, 3]);
    expect(dequantize(-32768, 65535, 1)).toBe(-1073725440);
  });

  it('undoes quantize within half a step', () => {
    const random = randomSource(2);
    for (let i = 0; i < 1000; i++) {
      const step = 1 + Math.floor(random() * 65535);
      const latent = Math.floor((random() - 0.5) * 60000);
      const symbol = quantize(latent * 2 ** 8, step);
      if (Math.abs(symbol) < 32767) {
        expect(Math.abs(dequantize(symbol, step, 8) - latent)).toBeLessThanOrEqual(step / 2 ** 9 + 0.5);
      }
    }
  });
});

describe('chooseSymbols', () => {
  // Table 0 is empty; table 1 spends 2 bits on 0, 8 bits on -1 and 1, 9 on -2 and 2; table 2 spends 10 bits on 0 and 1 on 1.
  const tables = codingTables({
    count: 3,
    precision: 14,
    start: Int32Array.of(0, 0, 6, 9),
    frequency: Int16Array.of(32, 64, 4096, 64, 32, 16384 - 4288, 16, 8192, 8176),
    minimum: Int16Array.of(0, -2, 0),
    rawBits: Int16Array.of(0, 0, 0),
  });

  function choose(differences: number[], strength: number, table = 1): number[] {
    const symbols = new Int16Array(differences.length);
    const indices = new Uint8Array(differences.length).fill(table);
    const steps = new Int32Array(differences.length).fill(1000);
    chooseSymbols(tables, indices, Float64Array.from(differences), steps, strength, symbols);
    return [...symbols];
  }

  it('is plain rounding at strength 0, for any difference', () => {
    const random = randomSource(8);
    const differences = Array.from({ length: 2000 }, () => Math.floor((random() - 0.5) * 4e6));
    expect(choose(differences, 0)).toEqual(differences.map((d) => quantize(d, 1000)));
    expect(choose([500, -500, 499, -499], 0)).toEqual([1, -1, 0, 0]);
    expect(choose([1e12, -1e12], 0)).toEqual([32767, -32767]);
  });

  it('takes a symbol nearer to zero where that saves enough, and treats both signs alike', () => {
    // From 1 to 0 saves 6 bits; at 0.6 steps that adds an error of 0.36 - 0.16 = 0.2 squared steps, at 0.95 of 0.9.
    expect(choose([600, -600], 1)).toEqual([0, 0]);
    expect(choose([950, -950], 1)).toEqual([1, -1]);
    expect(choose([600, -600], 0.1)).toEqual([1, -1]);
  });

  it('does not move where the nearer symbol costs more', () => {
    expect(choose([500, 600, 1400], 1, 2)).toEqual([1, 1, 1]);
    expect(choose([2050], 1)).toEqual([2]); // 1 bit saved, for an error of 1.1 squared steps
  });

  it('gives 0 for empty tables', () => {
    expect(choose([1e6, -1e6, 3], 1, 0)).toEqual([0, 0, 0]);
    expect(choose([1e6, -1e6, 3], 0, 0)).toEqual([0, 0, 0]);
  });
});
