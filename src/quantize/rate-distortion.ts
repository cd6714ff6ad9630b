import { COST_BITS, type CodingTables } from '../entropy/cdf-table.ts';

/**
 * Rate-distortion optimized rounding (encoders only; the format does not change): a symbol nearer to zero is chosen where the bits that
 * it saves outweigh the error that it adds. Integers throughout, so that a picture gives the same file everywhere.
 */

/** Bits that an error of one squared step is worth. Steps follow the training's lambda, so one number serves all qualities. */
const BITS_PER_SQUARED_STEP = 9;
/** Fraction bits of a difference counted in steps; a squared error has twice as many. */
const POSITION_BITS = 8;
const HALF = 1 << (POSITION_BITS - 1);
const MAX_POSITION = 32768 << POSITION_BITS;

/**
 * Chooses a symbol for each difference, given in 2^-stepBits latent units. Symbols of empty tables are 0. `strength`: 0 = the nearest
 * symbol, ties away from zero; 1 = bits count in full.
 */
export function chooseSymbols(
  tables: CodingTables,
  indices: Uint8Array,
  differences: Float64Array,
  steps: Int32Array,
  strength: number,
  symbols: Int16Array,
): void {
  const { base, origin, rawBits, bypass, cost } = tables;
  const rateWeight = Math.round(strength * (1 << (2 * POSITION_BITS - COST_BITS)));
  for (let i = 0; i < symbols.length; i++) {
    const table = indices[i]!;
    const first = base[table]!;
    const difference = differences[i]!;
    // Where the difference lies, in steps, rounded down; exact, since differences stay below 2^42.
    const position =
      Math.min(MAX_POSITION, Math.floor((Math.abs(difference) * (1 << POSITION_BITS)) / steps[i]!)) | 0;
    let magnitude = (position + HALF) >> POSITION_BITS;
    if (first < 0 || magnitude === 0) {
      symbols[i] = 0;
      continue;
    }
    if (magnitude > 32767) magnitude = 32767;
    let symbol = difference < 0 ? -magnitude : magnitude;
    if (rateWeight !== 0) {
      const nearer = difference < 0 ? symbol + 1 : symbol - 1;
      const shift = rawBits[table]!;
      const start = origin[table]!;
      const last = bypass[table]!;
      let here = (symbol >> shift) - start;
      if (here < first || here > last) here = last;
      let there = (nearer >> shift) - start;
      if (there < first || there > last) there = last;
      // error of nearer^2 - error of symbol^2 = 2 * (position - magnitude) + 1 in steps
      const added = 2 * (position - (magnitude << POSITION_BITS)) + (1 << POSITION_BITS);
      const saved = (cost[here]! - cost[there]!) * rateWeight;
      if (saved > added * (BITS_PER_SQUARED_STEP << POSITION_BITS)) symbol = nearer;
    }
    symbols[i] = symbol;
  }
}
