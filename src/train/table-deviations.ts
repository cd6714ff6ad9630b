import { RequestError } from '../errors.ts';
import type { CdfTables } from '../network/model.ts';

/** How wide the latent tables of a model are. */
export interface TableDeviations {
  /** The latent tables: `first` is the first that is not empty, `last` the last one before the hyper tables. */
  readonly first: number;
  readonly last: number;
  /** log2 of the standard deviation, in quantization steps, of what table `index` is for: `offset + index / perOctave`. */
  readonly offset: number;
  /** Tables for twice the deviation; 5 in the released models. */
  readonly perOctave: number;
  /** By table, 0..last: log2 of the standard deviation of its symbols; NaN for an empty one. Above the line where steps are wide: symbols are rounded. */
  readonly measured: Float64Array;
}

/** Deviations, in entries of a table, above which rounding adds a variance of 1/12 to it, and little else (Sheppard, 1898). */
const SMOOTH = 0.6;

/**
 * Measures the tables by their frequencies, the bypass left out, and puts a line through the latent ones that a quarter of them may be far from (Sen,
 * "Estimates of the regression coefficient based on Kendall's tau", 1968): of wide ones, which are rare, the network may be wrong. Latent tables come first
 * and rise by equal parts of an octave; tables of hyper latents, where there are any, begin anew with narrow ones. So the latent ones end before the
 * largest drop from one table to the next, if that is of more than an octave.
 *
 * The line is that of the deviation before rounding, taken from tables that are at least 0.6 entries wide: narrower ones hold hardly
 * anything but zeros, whose number says little. A decoder takes table `(deviation + deviationOffset) >> deviationShift` (spec 3.6), so index i stands
 * for values from i to i + 1 before they are rounded down, i + 1/2 in the middle.
 *
 * Throws RequestError where fewer than two tables are that wide.
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
 * log2 of the standard deviation, in steps, of the normal distribution whose rounded values vary as much as the symbols of one table: what a table
 * of hyper latents is for. -Infinity for an empty one.
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

/** log2 of deviations, in entries, between which a table's is looked for. */
const NARROWEST = -5;
const WIDEST = 12;
/** Parts of an entry in which a density is added up. */
const PARTS = 32;

/** Of a normal distribution's values, rounded to integers. */
function roundedVariance(deviation: number): number {
  if (deviation > 2) return deviation ** 2 + 1 / 12;
  let [mass, squares] = [0, 0];
  for (let i = -PARTS * 14; i <= PARTS * 14; i++) {
    const x = (i + 0.5) / PARTS;
    const density = Math.exp(-0.5 * (x / deviation) ** 2);
    mass += density;
    squares += density * Math.round(x) ** 2;
  }
  return squares / mass;
}

/** Of the symbols of a table without its bypass; NaN for an empty one. Symbols that share a high part count as the middle of them. */
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

/** From log2 deviations, NaN where a table is empty. */
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

/** The median of the slopes between any two of the points, and of what is left. */
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
