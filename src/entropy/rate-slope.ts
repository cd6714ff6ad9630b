import type { CdfTables } from '../network/model.ts';
import { oncePer } from '../network/once-per.ts';
import { type CodingTables, codingTables, positionOf } from './cdf-table.ts';

/**
 * What one symbol more costs, in 1/256 bit, for every position of `tables.cumulative` (`positionOf`): the
 * mean of the steps to the next symbol down and up, by the frequencies of the table. Symbols that are coded
 * by a bypass are few, and count as free. Compiled once per model.
 */
export const rateSlopes = oncePer(bySymbol);

/**
 * What the same symbol costs more by the next table, in 1/256 bit, for every position of `tables.cumulative`:
 * the mean of the steps to the table before and the one behind, or one of them where the other cannot express
 * the symbol. Of several symbols at a position the middle one counts; those that are coded by a bypass have
 * none. Compiled once per model.
 */
export const tableSlopes = oncePer(byTable);

function byTable(tables: CdfTables): Int16Array {
  const { count } = tables;
  const coding = codingTables(tables);
  const { base, bypass, origin, rawBits } = coding;
  const slopes = new Int16Array(coding.cumulative.length);
  for (let t = 0; t < count; t++) {
    if (base[t]! < 0) continue;
    for (let position = base[t]!; position < bypass[t]!; position++) {
      const symbol = Math.floor(((position + origin[t]!) * 2 + 1) * 2 ** (rawBits[t]! - 1));
      const here = cost(coding, t, symbol)!;
      const below = t > 0 ? cost(coding, t - 1, symbol) : undefined;
      const above = t < count - 1 ? cost(coding, t + 1, symbol) : undefined;
      const span = (below === undefined ? 0 : 1) + (above === undefined ? 0 : 1);
      if (span > 0) slopes[position] = Math.round((256 * ((above ?? here) - (below ?? here))) / span);
    }
  }
  return slopes;
}

/** Bits of symbol n in table t; undefined if the table cannot express it. */
function cost(tables: CodingTables, t: number, n: number): number | undefined {
  // Nothing is coded by an empty table.
  if (tables.base[t]! < 0) return n === 0 ? 0 : undefined;
  const position = positionOf(tables, t, n);
  if (position === tables.bypass[t]!) return undefined;
  const frequency = tables.cumulative[position + 1]! - tables.cumulative[position]!;
  return tables.precision - log2(frequency) + tables.rawBits[t]!;
}

function bySymbol(tables: CdfTables): Int16Array {
  const { count, rawBits } = tables;
  const { base, bypass, cumulative } = codingTables(tables);
  const slopes = new Int16Array(cumulative.length);
  for (let t = 0; t < count; t++) {
    const first = base[t]!;
    const last = bypass[t]! - 1;
    if (first < 0 || last <= first) continue;
    const bits = (position: number) => log2(cumulative[position + 1]! - cumulative[position]!);
    for (let position = first; position <= last; position++) {
      const below = Math.max(first, position - 1);
      const above = Math.min(last, position + 1);
      const span = (above - below) * 2 ** rawBits[t]!;
      slopes[position] = Math.round((256 * (bits(below) - bits(above))) / span);
    }
  }
  return slopes;
}

/** log2 of a positive integer to 16 bits behind the point, of products that every machine rounds alike. */
function log2(value: number): number {
  let result = 0;
  let rest = value;
  for (let bit = 1; bit > 2 ** -17; bit /= 2) {
    for (; rest >= 2; rest /= 2) result += bit;
    rest *= rest;
  }
  return result;
}
