import { expect, it } from 'vitest';
import { codingTables, positionOf } from '../../src/entropy/cdf-table.ts';
import { rateSlopes, tableSlopes } from '../../src/entropy/rate-slope.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { loadModel } from '../../src/network/load.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const MODELS = [
  ['the released model', releasedModel],
  ['a model with raw bits and empty tables', () => loadModel(tinyModelBytes({ seed: 5 }))],
] as const;

/** What a symbol that a table can express costs, in bits. */
function cost({ tables }: Awaited<ReturnType<typeof releasedModel>>, t: number, n: number): number {
  const k = (n >> tables.rawBits[t]!) - tables.minimum[t]!;
  return tables.precision - Math.log2(tables.frequency[tables.start[t]! + k]!) + tables.rawBits[t]!;
}

it.each(MODELS)('says what one symbol more costs by the tables of %s', async (_, load) => {
  const model = await load();
  const { tables } = model;
  const coding = codingTables(tables);
  const slopes = rateSlopes(tables);
  let compared = 0;
  for (let t = 0; t < tables.count; t++) {
    // The last frequency is that of the bypass.
    const size = tables.start[t + 1]! - tables.start[t]! - 1;
    const span = 2 ** tables.rawBits[t]!;
    for (let k = 0; k < size && size > 1; k++) {
      const n = (tables.minimum[t]! + k) * span;
      // At an end of the table there is a step to one side only.
      const [below, above] = [k > 0 ? n - span : n, k < size - 1 ? n + span : n];
      const expected = (cost(model, t, above) - cost(model, t, below)) / (above - below);
      expect(Math.abs(slopes[positionOf(coding, t, n)]! / 256 - expected)).toBeLessThan(1 / 256);
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(100);
});

it.each(MODELS)('says what a symbol costs more by the next of the tables of %s', async (_, load) => {
  const model = await load();
  const { tables } = model;
  const coding = codingTables(tables);
  const slopes = tableSlopes(tables);
  const sizeOf = (t: number) => tables.start[t + 1]! - tables.start[t]!;
  /** What n costs by table t, if it can express it. */
  const costBy = (t: number, n: number) => {
    if (t < 0 || t >= tables.count) return undefined;
    if (sizeOf(t) === 0) return n === 0 ? 0 : undefined;
    const k = (n >> tables.rawBits[t]!) - tables.minimum[t]!;
    return k >= 0 && k < sizeOf(t) - 1 ? cost(model, t, n) : undefined;
  };
  const compared = { both: 0, one: 0, none: 0 };
  for (let t = 0; t < tables.count; t++) {
    for (let k = 0; k < sizeOf(t) - 1; k++) {
      // The middle one of the symbols that share a frequency.
      const n = (tables.minimum[t]! + k) * 2 ** tables.rawBits[t]! + ((2 ** tables.rawBits[t]!) >> 1);
      const [below, here, above] = [costBy(t - 1, n), costBy(t, n)!, costBy(t + 1, n)];
      const expected =
        ((above ?? here) - (below ?? here)) / (below !== undefined && above !== undefined ? 2 : 1);
      expect(Math.abs(slopes[positionOf(coding, t, n)]! / 256 - expected)).toBeLessThan(1 / 256);
      compared[below !== undefined && above !== undefined ? 'both' : expected === 0 ? 'none' : 'one']++;
    }
    if (sizeOf(t) > 0) expect(slopes[coding.bypass[t]!]).toBe(0);
  }
  expect(compared.both).toBeGreaterThan(100);
  expect(compared.one).toBeGreaterThan(3);
});

it('has none where there is but one symbol', async () => {
  const model = await loadModel(tinyModelBytes({ seed: 5 }));
  const coding = codingTables(model.tables);
  const slopes = rateSlopes(model.tables);
  for (let t = 0; t < model.tables.count; t++)
    if (coding.base[t]! >= 0) expect(slopes[coding.bypass[t]!]).toBe(0);
});
