import { RequestError } from '../../errors.ts';
import type { CdfTables } from '../../network/model.ts';

/** The standard deviations that the latent tables of a model are for. */
export interface TableDeviations {
  /**
   * The latent tables: `first` is the first that is not empty, `last` the last one before the hyper tables.
   */
  readonly first: number;
  readonly last: number;
  /** Table `index` is for the deviation 2^(offset + index / perOctave), in quantization steps. */
  readonly offset: number;
  /** Tables for twice the deviation; 5 in the released models. */
  readonly perOctave: number;
  /**
   * By table, 0..last: log2 of the standard deviation of its symbols, NaN for an empty table. Rounding makes
   * it larger than the deviation above.
   */
  readonly measured: Float64Array;
}

/**
 * Above this deviation, in entries of a table, rounding adds a variance of 1/12 and changes little else
 * (Sheppard, 1898).
 */
const SMOOTH = 0.6;

/**
 * Measures the deviations of the tables from their frequencies, without the bypass, and fits a line to those
 * of the latent tables.
 *
 * - Latent tables come first and rise by equal parts of an octave. Tables of hyper latents, if there are any,
 *   begin anew with narrow ones. So the latent tables end before the largest drop from one table to the next,
 *   if that is more than an octave.
 * - The line is robust (Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968): a
 *   quarter of the tables may be far from it. Wide tables are rarely used, and their frequencies may be off.
 * - The line is fitted to deviations before rounding, of tables at least 0.6 entries wide. Narrower ones hold
 *   hardly anything but zeros.
 *
 * A decoder takes table `(deviation + deviationOffset) >> deviationShift` (spec 3.6), so index i stands for
 * values from i to i + 1, in the middle i + 1/2.
 *
 * Throws RequestError where fewer than two tables are wide enough.
 */
export function tableDeviations(tables: CdfTables): TableDeviations {
  const variances = Array.from({ length: tables.count }, (_, table) => varianceOf(tables, table));
  const symbols = variances.map((variance) => Math.log2(variance) / 2);
  const last = lastLatentTable(symbols);
  const measured = Float64Array.from(symbols.slice(0, last + 1));
  const points: { index: number; octaves: number }[] = [];
  for (let index = 0; index <= last; index++) {
    const width = 2 ** tables.rawBits[index]!;
    const unrounded = variances[index]! - width ** 2 / 12;
    if (Math.sqrt(unrounded) >= SMOOTH * width) points.push({ index, octaves: Math.log2(unrounded) / 2 });
  }
  if (points.length < 2)
    throw new RequestError(`Only ${points.length} of the model's tables are wide enough to be measured`);
  const { offset, slope } = line(points);
  return {
    first: measured.findIndex((octaves) => !Number.isNaN(octaves)),
    last,
    offset,
    perOctave: 1 / slope,
    measured,
  };
}

/**
 * The deviation that a table of hyper latents is for: log2 of the standard deviation, in steps, of the normal
 * distribution whose rounded values vary as much as the symbols of the table. -Infinity for an empty table.
 */
export function tableDeviation(tables: CdfTables, table: number): number {
  const width = 2 ** tables.rawBits[table]!;
  const variance = varianceOf(tables, table) / width ** 2;
  if (!(variance > 0)) return Number.NEGATIVE_INFINITY;
  let [low, high] = [NARROWEST, WIDEST];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (roundedVariance(2 ** middle) < variance) low = middle;
    else high = middle;
  }
  return low + Math.log2(width);
}

/** log2 of the deviations, in entries, between which `tableDeviation` searches. */
const NARROWEST = -5;
const WIDEST = 12;
/** Steps per entry of the numerical integration. */
const PARTS_PER_ENTRY = 32;

/** Variance of the values of a normal distribution after rounding to integers. */
function roundedVariance(deviation: number): number {
  if (deviation > 2) return deviation ** 2 + 1 / 12;
  let [mass, squares] = [0, 0];
  for (let i = -PARTS_PER_ENTRY * 14; i <= PARTS_PER_ENTRY * 14; i++) {
    const x = (i + 0.5) / PARTS_PER_ENTRY;
    const density = Math.exp(-0.5 * (x / deviation) ** 2);
    mass += density;
    squares += density * Math.round(x) ** 2;
  }
  return squares / mass;
}

/**
 * Variance of the symbols of a table without its bypass, NaN for an empty table. Symbols that share an entry
 * count as their middle.
 */
function varianceOf({ start, frequency, minimum, rawBits }: CdfTables, table: number): number {
  const width = 2 ** rawBits[table]!;
  let [count, sum, squares] = [0, 0, 0];
  for (let i = start[table]!; i < start[table + 1]! - 1; i++) {
    const symbol = (minimum[table]! + i - start[table]!) * width + (width - 1) / 2;
    count += frequency[i]!;
    sum += frequency[i]! * symbol;
    squares += frequency[i]! * symbol * symbol;
  }
  return squares / count - (sum / count) ** 2;
}

/**
 * The table before the largest drop of more than an octave, or the last one. `octaves`: log2 deviations, NaN
 * for empty tables.
 */
function lastLatentTable(octaves: readonly number[]): number {
  const filled = [...octaves.keys()].filter((table) => !Number.isNaN(octaves[table]!));
  let last = filled.at(-1) ?? 0;
  let largest = 1;
  for (let i = 1; i < filled.length; i++) {
    const drop = octaves[filled[i - 1]!]! - octaves[filled[i]!]!;
    if (drop <= largest) continue;
    largest = drop;
    last = filled[i - 1]!;
  }
  return last;
}

/**
 * The line of Sen: slope is the median of the slopes between any two points, offset the median of what
 * remains.
 */
function line(points: readonly { index: number; octaves: number }[]): { offset: number; slope: number } {
  const slopes = points.flatMap((a, i) =>
    points.slice(i + 1).map((b) => (b.octaves - a.octaves) / (b.index - a.index)),
  );
  const slope = median(slopes);
  return { offset: median(points.map(({ index, octaves }) => octaves - slope * index)), slope };
}

/** The upper one of the two in the middle. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
