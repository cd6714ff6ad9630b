import { describe, expect, it } from 'vitest';
import { codingTables } from '../../src/entropy/cdf-table.ts';
import { encodeSymbols } from '../../src/entropy/rans.ts';
import { RequestError } from '../../src/errors.ts';
import { releasedModel } from '../../src/model/released-model.ts';
import { modelConvs } from '../../src/network/convs.ts';
import { loadModel } from '../../src/network/load.ts';
import type { CdfTables, Conv } from '../../src/network/model.ts';
import { rewriteModel } from '../../src/network/write-model.ts';
import { integerFrequencies, refitTables, SymbolCounts } from '../../src/train/refit-tables.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const { tables } = await releasedModel();
/** One without raw bits, about 1.9 steps wide; one with 3. */
const PLAIN = 20;
const RAW = 42;

const frequenciesOf = ({ start, frequency }: CdfTables, table: number) =>
  frequency.subarray(start[table]!, start[table + 1]!);

/** Integers of a Laplacian distribution with a standard deviation. */
function laplacian(count: number, deviation: number, seed: number): Int32Array {
  const random = randomSource(seed);
  return Int32Array.from({ length: count }, () => {
    const u = random() - 0.5;
    return Math.round((-deviation / Math.SQRT2) * Math.sign(u) * Math.log(1 - 2 * Math.abs(u)));
  });
}

function counted(table: number, symbols: ArrayLike<number>): SymbolCounts {
  const counts = new SymbolCounts();
  counts.add(new Int32Array(symbols.length).fill(table), symbols);
  return counts;
}

/** Bytes that real coding takes. */
function codedBytes(which: CdfTables, table: number, symbols: Int32Array): number {
  const indices = new Uint8Array(symbols.length).fill(table);
  return encodeSymbols(codingTables(which), indices, Int16Array.from(symbols)).length;
}

describe('refitTables', () => {
  it('leaves everything as it is where nothing was counted', () => {
    expect(refitTables(tables, [])).toEqual(tables);
    expect(refitTables(tables, counted(PLAIN, []).tables)).toEqual(tables);
  });

  it('changes only the table whose symbols were counted, and its frequencies only', () => {
    const refitted = refitTables(tables, counted(PLAIN, laplacian(5000, 1.3, 1)).tables);
    expect({ ...refitted, frequency: 0 }).toEqual({ ...tables, frequency: 0 });
    for (let table = 0; table < tables.count; table++) {
      const same = expect(frequenciesOf(refitted, table));
      if (table === PLAIN) same.not.toEqual(frequenciesOf(tables, table));
      else same.toEqual(frequenciesOf(tables, table));
    }
  });

  it.each([
    ['narrower', PLAIN, 0.9],
    ['wider', PLAIN, 3.5],
    ['of another shape', PLAIN, 1.9],
    ['behind raw bits', RAW, 20],
  ])('saves bytes of symbols that are %s, other ones of the same kind included', (_, table, deviation) => {
    const refitted = refitTables(tables, counted(table, laplacian(20000, deviation, 2)).tables);
    const others = laplacian(20000, deviation, 3);
    expect(codedBytes(refitted, table, others)).toBeLessThan(0.995 * codedBytes(tables, table, others));
  });

  it('has few frequencies move for few symbols: the present ones count for 60', () => {
    const zeros = refitTables(tables, counted(PLAIN, new Int32Array(60)).tables);
    const middle = -tables.minimum[PLAIN]!;
    const [before, after] = [frequenciesOf(tables, PLAIN), frequenciesOf(zeros, PLAIN)];
    expect(after[middle]! / 16384).toBeCloseTo((before[middle]! / 16384 + 1) / 2, 2);
  });

  it('takes a symbol and its mirror image as equally likely', () => {
    for (const [table, symbol, mirrored] of [
      [PLAIN, 2, -2],
      [RAW, 8, -9],
    ] as const) {
      const one = refitTables(tables, counted(table, new Int32Array(500).fill(symbol)).tables);
      const other = refitTables(tables, counted(table, new Int32Array(500).fill(mirrored)).tables);
      expect(one).toEqual(other);
      const entry = (n: number) =>
        frequenciesOf(one, table)[(n >> tables.rawBits[table]!) - tables.minimum[table]!]!;
      expect(entry(symbol)).toBeGreaterThan(6000);
      expect(Math.abs(entry(symbol) - entry(mirrored))).toBeLessThan(100);
    }
  });

  it('counts what a table cannot express, down to -32768, for the bypass', () => {
    const refitted = refitTables(
      tables,
      counted(
        PLAIN,
        [-32768, 32767, 1000, -1000].flatMap((n) => [n, n, n]),
      ).tables,
    );
    expect(frequenciesOf(refitted, PLAIN).at(-1)! / 16384).toBeCloseTo(12 / 72, 3);
  });

  it('leaves empty tables empty', () => {
    expect(frequenciesOf(tables, 0)).toHaveLength(0);
    expect(refitTables(tables, counted(0, [5, 6]).tables)).toEqual(tables);
  });

  it.each([12, 14] as const)('makes tables that a loader takes, with precision %i', async (precision) => {
    const base = tinyModelBytes({ precision });
    const model = await loadModel(base);
    const random = randomSource(5);
    const counts = new SymbolCounts();
    for (let table = 0; table < model.tables.count; table++)
      counts.add(new Array(3000).fill(table), laplacian(3000, 4 ** (random() * 4), table));
    const refitted = refitTables(model.tables, counts.tables);
    const file = await rewriteModel(base, { name: 'x', convs: modelConvs<Conv>(model), tables: refitted });
    expect((await loadModel(file)).tables).toEqual(refitted);
  });
});

describe('integerFrequencies', () => {
  const bits = (mass: readonly number[], frequencies: ArrayLike<number>) =>
    mass.reduce((sum, m, i) => sum - m * Math.log2(frequencies[i]!), 0);

  it('codes in as few bits as the best of all distributions', () => {
    const random = randomSource(9);
    const total = 24;
    for (let trial = 0; trial < 60; trial++) {
      const mass = Array.from({ length: 4 }, () => random() ** (1 + (trial % 8)));
      let best = Number.POSITIVE_INFINITY;
      for (let a = 1; a <= total - 3; a++)
        for (let b = 1; a + b <= total - 2; b++)
          for (let c = 1; a + b + c <= total - 1; c++)
            best = Math.min(best, bits(mass, [a, b, c, total - a - b - c]));
      const found = integerFrequencies(mass, total);
      expect(found.reduce((sum, f) => sum + f)).toBe(total);
      expect(bits(mass, found)).toBeCloseTo(best, 9);
    }
  });

  it('takes from a large frequency what many small ones gain by', () => {
    const mass = [701, ...new Array<number>(300).fill(1.6)];
    const found = integerFrequencies(mass, 1181);
    // Rounded down and filled up it would keep 701. A second unit of the others is worth 1.6 ln 2, its own
    // last one 701 / 631.5.
    expect(found[0]).toBe(632);
    expect(Math.max(...found.subarray(1))).toBe(2);
  });

  it('gives at least 1 to what never occurs', () => {
    expect([...integerFrequencies([0, 1, 0], 16)]).toEqual([1, 14, 1]);
  });
});

describe('SymbolCounts', () => {
  it('adds up over calls', () => {
    const counts = new SymbolCounts();
    counts.add([2, 2, 0], [5, 5, -1]);
    counts.add(Int32Array.of(2), Int16Array.of(5));
    expect(counts.tables).toEqual([new Map([[-1, 1]]), new Map(), new Map([[5, 3]])]);
  });

  it('refuses arrays of different lengths, symbols beyond 16 bits, and tables that cannot be', () => {
    const counts = new SymbolCounts();
    expect(() => counts.add([1], [])).toThrow(RequestError);
    expect(() => counts.add([1], [32768])).toThrow(RequestError);
    expect(() => counts.add([1], [0.5])).toThrow(RequestError);
    expect(() => counts.add([-1], [0])).toThrow(RequestError);
  });
});
