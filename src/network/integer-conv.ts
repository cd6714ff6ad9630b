import { RequestError } from '../errors.ts';
import { checkConv, type Limits } from './bounds.ts';
import type { Conv } from './model.ts';

/** What changes in a conv when it gets new weights. */
export interface ConvValues {
  /** [outputs][kernel][kernel][inputs] */
  readonly weight: Int16Array;
  /** [biasRows][outputs] */
  readonly bias: Int32Array;
  readonly shift: number;
}

/**
 * Weights and biases of a conv in units of its present integers, real value * 2^conv.shift, before they are
 * rounded.
 */
export interface FloatConvValues {
  readonly weight: ArrayLike<number>;
  readonly bias: ArrayLike<number>;
}

const LARGEST_INT16 = 32767;
const LARGEST_INT32 = 2 ** 31 - 1;

/**
 * The nearest integers that fit, ties to even: with the conv's own shift where weights stay within 16 bits
 * and no accumulator can leave 32 (spec 3.8), else with the largest smaller one, each step halving all
 * values. `input`: the limits of the channels it reads (`convInputLimits`). Throws RequestError for other
 * lengths than the conv's, for values that are not finite, and where no shift fits.
 */
export function integerConv(conv: Conv, values: FloatConvValues, input: Limits): ConvValues {
  for (const key of ['weight', 'bias'] as const) {
    if (values[key].length !== conv[key].length)
      throw new RequestError(
        `Expected ${conv[key].length} values as ${key} but received ${values[key].length}`,
      );
    if (!allFinite(values[key]))
      throw new RequestError(`Expected a finite ${key} but received NaN or Infinity`);
  }
  for (let shift = conv.shift; shift >= 0; shift--) {
    const scale = 2 ** (shift - conv.shift);
    const weight = rounded(values.weight, scale, LARGEST_INT16);
    const bias = rounded(values.bias, scale, LARGEST_INT32);
    if (!weight || !bias) continue;
    const fitted = { weight: Int16Array.from(weight), bias: Int32Array.from(bias), shift };
    if (checkConv({ ...conv, ...fitted }, input) === undefined) return fitted;
  }
  throw new RequestError('The weights are too large: no shift keeps their sums within 32 bits');
}

function allFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/** Undefined where a magnitude is beyond `largest`. */
function rounded(values: ArrayLike<number>, scale: number, largest: number): Float64Array | undefined {
  const result = new Float64Array(values.length);
  for (let i = 0; i < result.length; i++) {
    const value = nearest(values[i]! * scale);
    if (Math.abs(value) > largest) return undefined;
    result[i] = value;
  }
  return result;
}

/** Ties to even: halved odd integers, all of which are ties, do not drift to one side. */
function nearest(value: number): number {
  const up = Math.floor(value + 0.5);
  return up - value === 0.5 && up % 2 !== 0 ? up - 1 : up;
}
