import type { CdfTables } from '../network/model.ts';
import { oncePer } from '../network/once-per.ts';
import { codingTables } from './cdf-table.ts';

/**
 * What one symbol more costs, in 1/256 bit, for every position of `tables.cumulative` (`positionOf`): the
 * mean of the steps to the next symbol down and up, by the frequencies of the table. Symbols that are coded
 * by a bypass are few, and count as free. Compiled once per model.
 */
export const rateSlopes = oncePer(compile);

function compile(tables: CdfTables): Int16Array {
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
