import type { Extent, Query, Rect, Samples } from '../engine/engine.ts';
import { round, sat16 } from '../network/fixed-point.ts';
import type { Head } from '../network/model.ts';
import { cellTerm } from './query.ts';

/**
 * The LIIF head of spec 4.3 to 4.5 in plain loops, the reference for fast engines.
 *
 * Fixed point: fractions and ensemble weights Q14, cells Q12, everything else in units of the model.
 */

/** A window of P: data (rect.height, rect.width, hidden). `level`: all sites of the level. */
export interface SiteWindow {
  readonly rect: Rect;
  readonly level: Extent;
  readonly data: Int16Array;
}

const ONE = 1 << 14;

/**
 * RGB samples of a query, (rows, columns, 3). Its sites, clamped to the level, must lie inside the window.
 */
export function renderQuery(head: Head, features: SiteWindow, query: Query): Samples {
  const { rows, columns, depth } = query;
  const height = rows.index.length;
  const width = columns.index.length;
  const samples = depth === 8 ? new Uint8Array(height * width * 3) : new Uint16Array(height * width * 3);
  const cell = cellTerm(head, rows.cell, columns.cell);
  const rowTerms = [0, 1].map(() => new Int16Array(head.hidden));
  const columnTerms = Array.from(columns.fraction, (fraction) =>
    [0, 1].map((d) => columnTerm(head, fraction, d)),
  );
  const blended = new Int32Array(head.hidden);
  for (let i = 0, at = 0; i < height; i++) {
    const fr = rows.fraction[i]!;
    for (const d of [0, 1]) fillRowTerm(rowTerms[d]!, head, fr, d, cell);
    for (let j = 0; j < width; j++, at += 3) {
      const sites = siteOffsets(features, head.hidden, rows.index[i]!, columns.index[j]!);
      const weights = ensembleWeights(fr, columns.fraction[j]!);
      blend(blended, features.data, sites, weights, rowTerms, columnTerms[j]!);
      for (let o = 0; o < 3; o++) samples[at + o] = sample(head, blended, o, depth);
    }
  }
  return samples;
}

/** rowTerm of spec 4.4 for the site above (d = 0) or below (d = 1) the pixel's center. */
function fillRowTerm(term: Int16Array, head: Head, fraction: number, d: number, cell: Int16Array): void {
  const r = fraction - d * ONE;
  for (let k = 0; k < term.length; k++) term[k] = sat16(sat16(round(head.rowWeight[k]! * r, 14)) + cell[k]!);
}

/** colTerm of spec 4.4 for the site left (d = 0) or right (d = 1) of the pixel's center. */
function columnTerm(head: Head, fraction: number, d: number): Int16Array {
  const r = fraction - d * ONE;
  return Int16Array.from(head.columnWeight, (weight) => sat16(round(weight * r, 14)));
}

/**
 * Where the vectors of the sites (0,0), (0,1), (1,0), (1,1) begin in the window. Outside the level the
 * nearest site stands in. Spec 4.3.
 */
function siteOffsets({ rect, level }: SiteWindow, hidden: number, row: number, column: number): number[] {
  const clampTo = (index: number, count: number) => Math.max(0, Math.min(count - 1, index));
  return [0, 1, 2, 3].map((t) => {
    const y = clampTo(row + (t >> 1), level.height) - rect.top;
    const x = clampTo(column + (t & 1), level.width) - rect.left;
    return (y * rect.width + x) * hidden;
  });
}

/**
 * Weights of the sites (0,0), (0,1), (1,0), (1,1): the areas of the opposite rectangles in Q14; their sum is
 * 2^14. Spec 4.4.
 */
export function ensembleWeights(fr: number, fc: number): readonly [number, number, number, number] {
  const s11 = round(fr * fc, 14);
  return [ONE - fr - fc + s11, fc - s11, fr - s11, s11];
}

/** The hidden vector of a pixel, before the last layer: the weighted sum over the four sites. Spec 4.4. */
function blend(
  blended: Int32Array,
  data: Int16Array,
  sites: readonly number[],
  weights: readonly number[],
  rowTerms: readonly Int16Array[],
  columnTerms: readonly Int16Array[],
): void {
  for (let k = 0; k < blended.length; k++) {
    let sum = 0;
    for (let t = 0; t < 4; t++) {
      const row = sat16(data[sites[t]! + k]! + rowTerms[t >> 1]![k]!);
      sum += weights[t]! * Math.max(0, sat16(row + columnTerms[t & 1]![k]!));
    }
    blended[k] = round(sum, 14);
  }
}

/** Sample `o` (0 red, 1 green, 2 blue) of a pixel. Spec 4.5. */
function sample(head: Head, blended: Int32Array, o: number, depth: 8 | 16): number {
  let accumulator = head.outputBias[o]!;
  for (let k = 0; k < head.hidden; k++) accumulator += head.outputWeight[o * head.hidden + k]! * blended[k]!;
  if (depth === 8) return Math.max(0, Math.min(255, round(accumulator, head.outputShift)));
  const value = Math.max(0, Math.min(65280, round(accumulator, head.outputShift - 8)));
  return (value * 257 + 128) >> 8;
}
