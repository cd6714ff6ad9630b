import type { CdfTables } from '../network/model.ts';
import { oncePer } from '../network/once-per.ts';

/** Slots are looked up by their upper bits first; from there a short search forwards. */
export const COARSE_BITS = 7;

/**
 * Tables of a model in the form that coding wants. Table t owns `cumulative[base[t]] .. cumulative[base[t] + F]`,
 * and a position in that range stands for one of its F frequencies. Kept small enough for a first-level
 * cache.
 */
export interface CodingTables {
  readonly precision: number;
  /** Position of the first frequency; -1 for an empty table. */
  readonly base: Int32Array;
  /** Cumulative frequencies: 0 first, 2^precision last. */
  readonly cumulative: Uint16Array;
  /**
   * [table][slot >> (precision - COARSE_BITS)]: frequency, counted from `base`, that holds the first slot of
   * the interval.
   */
  readonly coarse: Uint16Array;
  /** Symbol (its high part) = position + origin. */
  readonly origin: Int32Array;
  readonly rawBits: Uint8Array;
  /** Position of each table's bypass. */
  readonly bypass: Int32Array;
  /** First position that raw bits follow: 0 with raw bits, else that of the bypass. */
  readonly firstRaw: Int32Array;
}

/** The tables of a model in the form that coding wants, compiled once. */
export const codingTables = oncePer(compile);

function compile(tables: CdfTables): CodingTables {
  const { count, precision, start, frequency, minimum } = tables;
  const size = start[count]! + count;
  const result = {
    precision,
    base: new Int32Array(count).fill(-1),
    cumulative: new Uint16Array(size),
    coarse: new Uint16Array(count << COARSE_BITS),
    origin: new Int32Array(count),
    rawBits: Uint8Array.from(tables.rawBits),
    bypass: new Int32Array(count),
    firstRaw: new Int32Array(count),
  };
  for (let t = 0; t < count; t++) {
    const frequencies = frequency.subarray(start[t]!, start[t + 1]!);
    if (frequencies.length === 0) continue;
    const base = start[t]! + t;
    const rawBits = tables.rawBits[t]!;
    result.base[t] = base;
    result.origin[t] = minimum[t]! - base;
    result.bypass[t] = base + frequencies.length - 1;
    result.firstRaw[t] = rawBits > 0 ? 0 : result.bypass[t]!;
    for (const [k, f] of frequencies.entries()) {
      result.cumulative[base + k + 1] = result.cumulative[base + k]! + f;
    }
    for (let i = 0, k = 0; i < 1 << COARSE_BITS; i++) {
      while (result.cumulative[base + k + 1]! <= i << (precision - COARSE_BITS)) k++;
      result.coarse[(t << COARSE_BITS) + i] = k;
    }
  }
  return result;
}

/** Position of symbol n in table t, the bypass where the table cannot express it. The table is not empty. */
export function positionOf(tables: CodingTables, t: number, n: number): number {
  const position = (n >> tables.rawBits[t]!) - tables.origin[t]!;
  const bypass = tables.bypass[t]!;
  return position >= tables.base[t]! && position < bypass ? position : bypass;
}
