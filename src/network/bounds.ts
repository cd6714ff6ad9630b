import type { Conv, Head, HyperQuantizer, LatentQuantizer, Row } from './model.ts';

/**
 * Proves that no accumulator leaves int32, whatever a file holds (spec 3.8). Sums here are doubles and yet
 * exact: a product of weight and limit is at most 2^30, and no sum has more than 2^16 of them, so all stay
 * integers below 2^53.
 */

const ACCUMULATOR = 2 ** 31;
/** The largest magnitude of each channel of a tensor. */
export type Limits = readonly number[];

/** A message that says which bound is broken, or undefined. */
export type Verdict = string | undefined;

const half = (shift: number) => (shift > 0 ? 2 ** (shift - 1) : 0);

function verdict(what: string, bound: number): Verdict {
  return bound < ACCUMULATOR ? undefined : `${what} can reach ${bound}, beyond 2^31 - 1`;
}

/** The largest magnitude in a column of a table of `columns` columns. */
function largest(table: Int32Array, column: number, columns: number): number {
  let result = 0;
  for (let i = column; i < table.length; i += columns) result = Math.max(result, Math.abs(table[i]!));
  return result;
}

export function checkConv(conv: Conv, input: Limits): Verdict {
  const taps = conv.kernel * conv.kernel;
  const { inputs, outputs, weight } = conv;
  for (let o = 0, w = 0; o < outputs; o++) {
    let bound = largest(conv.bias, o, outputs) + half(conv.shift);
    for (let tap = 0; tap < taps; tap++) {
      for (let i = 0; i < inputs; i++, w++) bound += Math.abs(weight[w]!) * input[i]!;
    }
    const fault = verdict(`the accumulator of output ${o}`, bound);
    if (fault) return fault;
  }
  return undefined;
}

export function checkRow(row: Row, input: Limits): Verdict {
  for (let c = 0; c < row.channels; c++) {
    const fault = verdict(`channel ${c}`, largest(row.row, c, row.channels) + input[c]!);
    if (fault) return fault;
  }
  return undefined;
}

export function checkLatent(latent: LatentQuantizer, channels: number, deviationLimit: number): Verdict {
  if (latent.step.some((step) => step < 1)) return 'a latent step is less than 1';
  for (let c = 0; c < channels; c++) {
    const fault =
      verdict(`latent channel ${c}`, 32768 * largest(latent.step, c, channels) + half(latent.stepBits)) ??
      verdict(`the deviation of channel ${c}`, largest(latent.deviationOffset, c, channels) + deviationLimit);
    if (fault) return fault;
  }
  return undefined;
}

export function checkHyper(hyper: HyperQuantizer, channels: number): Verdict {
  if (hyper.step.some((step) => step < 1)) return 'a hyper step is less than 1';
  for (let c = 0; c < channels; c++) {
    const bound =
      32768 * largest(hyper.step, c, channels) + largest(hyper.offset, c, channels) + half(hyper.stepBits);
    const fault = verdict(`hyper channel ${c}`, bound);
    if (fault) return fault;
  }
  return undefined;
}

/**
 * Cells need no proof: two weights of 2^15 times a cell of 2^14, and half of the largest shift, are below
 * 2^31.
 */
export function checkHead(head: Head): Verdict {
  for (let o = 0; o < 3; o++) {
    let bound = Math.abs(head.outputBias[o]!) + half(head.outputShift);
    for (let k = 0; k < head.hidden; k++) bound += Math.abs(head.outputWeight[o * head.hidden + k]!) * 32767;
    const fault = verdict(`output ${o} of the head`, bound);
    if (fault) return fault;
  }
  return undefined;
}
