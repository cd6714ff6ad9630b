import { describe, expect, it } from 'vitest';
import { dequantize, quantize } from '../../src/quantize/quantize.ts';
import { randomSource } from '../fixtures/tiny-model.ts';

describe('quantize', () => {
  it('rounds to the nearest symbol, ties away from zero, both signs alike', () => {
    expect([0, 49, 50, 51, 149, 150].map((d) => quantize(d, 100))).toEqual([0, 0, 1, 1, 1, 2]);
    for (const d of [1, 49, 50, 51, 149, 150, 12345]) expect(quantize(-d, 100) + quantize(d, 100)).toBe(0);
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
