import { COST_BITS, type CodingTables, positionOf } from '../entropy/cdf-table.ts';
import { quantize } from './quantize.ts';

/**
 * Rate-distortion optimized rounding (encoders only; the format does not change): a symbol nearer to zero is chosen where the bits that
 * it saves outweigh the error that it adds. Integers throughout, so that a picture gives the same file everywhere.
 */

/** Bits that an error of one squared step is worth. Steps follow the training's lambda, so one number serves all qualities. */
const BITS_PER_SQUARED_STEP = 9;
/** Fraction bits of a difference counted in steps. */
const POSITION_BITS = 8;

export interface RateDistortion {
  /** The symbol for a difference in 2^-stepBits latent units. The table is not empty. */
  choose(tables: CodingTables, table: number, difference: number, step: number): number;
}

const plain: RateDistortion = { choose: (_tables, _table, difference, step) => quantize(difference, step) };

/** `strength`: 0 = plain rounding, 1 = full effect; bits count for that much. */
export function rateDistortion(strength: number): RateDistortion {
  // Rates are weighed in 1/256; cost and error then both carry COST_BITS + 8 = 2*POSITION_BITS fraction bits.
  const rateWeight = Math.round(strength * 2 ** (2 * POSITION_BITS - COST_BITS));
  if (rateWeight === 0) return plain;
  return {
    choose(tables, table, difference, step) {
      const nearest = quantize(difference, step);
      if (nearest === 0) return 0;
      const sign = nearest < 0 ? -1 : 1;
      // Where the difference lies, in steps. Exact: below 2^53.
      const position = Math.floor((Math.abs(difference) * 2 ** POSITION_BITS) / step);
      const weigh = (magnitude: number): number => {
        const error = magnitude * 2 ** POSITION_BITS - position;
        const rate = tables.cost[positionOf(tables, table, sign * magnitude)]!;
        return rate * rateWeight + error * error * BITS_PER_SQUARED_STEP;
      };
      const magnitude = Math.abs(nearest);
      const current = weigh(magnitude);
      if (weigh(magnitude - 1) < current) return sign * (magnitude - 1);
      return nearest;
    },
  };
}
