import { cellTerm } from '../../head/query.ts';
import type { Head } from '../../network/model.ts';
import type { FeatureMap, Query, Samples } from '../engine.ts';
import { packOctet } from './pack.ts';

/** Rows from .. to-1 of a query, which one row of workgroups makes: a `Query` of head.wgsl. */
export interface Part {
  /** Index among the caller's queries. */
  readonly query: number;
  readonly from: number;
  readonly to: number;
  /** Bytes of its samples, and where they begin in the batch's samples. */
  readonly byteLength: number;
  readonly byteOffset: number;
}

/** The parts that one dispatch makes. */
export interface Batch {
  readonly parts: readonly Part[];
  readonly byteLength: number;
}

/** Most pixels of a part: 16,384 workgroups of 64, of the 65,535 that a dispatch may have in a row. */
const PART_PIXELS = 2 ** 20;
/** Most parts of a dispatch. */
const PARTS = 4096;
/** Pixels of a workgroup. */
const PIXELS = 64;
/** Bindings begin at multiples of so many bytes. */
const ALIGNMENT = 256;

/** Cuts queries into dispatches of at most `maxBytes` of samples each, unless a single row has more. */
export function batchQueries(queries: readonly Query[], maxBytes: number): Batch[] {
  const batches: Batch[] = [];
  let parts: Part[] = [];
  let bytes = 0;
  const flush = () => {
    if (parts.length > 0) batches.push({ parts, byteLength: bytes });
    parts = [];
    bytes = 0;
  };
  queries.forEach(({ rows, columns, depth }, query) => {
    const height = rows.index.length;
    const width = columns.index.length;
    const pixelBytes = (3 * depth) / 8;
    const most = Math.min(PART_PIXELS, Math.floor(maxBytes / pixelBytes) - PIXELS);
    const step = Math.max(1, Math.floor(most / Math.max(1, width)));
    for (let from = 0; from < height && width > 0; from += step) {
      const to = Math.min(height, from + step);
      const byteLength = Math.ceil(((to - from) * width) / PIXELS) * PIXELS * pixelBytes;
      if (bytes + byteLength > maxBytes || parts.length === PARTS) flush();
      parts.push({ query, from, to, byteLength, byteOffset: bytes });
      bytes += byteLength;
    }
  });
  flush();
  return batches;
}

/** All that a dispatch of head.wgsl reads but P and weights, in one buffer, and its bindings there. */
export interface HeadRequest {
  readonly words: Int32Array;
  readonly features: Binding;
  readonly queries: Binding;
  readonly axes: Binding;
  readonly terms: Binding;
  readonly workgroups: readonly [number, number];
}

interface Binding {
  readonly offset: number;
  readonly size: number;
}

export function headRequest(
  head: Head,
  { rect, level }: Pick<FeatureMap, 'rect' | 'level'>,
  queries: readonly Query[],
  { parts }: Batch,
): HeadRequest {
  let length = 0;
  const section = (size: number): Binding => {
    const offset = length;
    length = Math.ceil((offset + size) / ALIGNMENT) * ALIGNMENT;
    return { offset, size };
  };
  const axisLength = ({ query, from, to }: Part) => to - from + queries[query]!.columns.index.length;
  const axesLength = parts.reduce((sum, part) => sum + axisLength(part), 0);
  const features = section(48);
  const table = section(32 * parts.length);
  const axes = section(8 * axesLength);
  const terms = section(4 * head.hidden * parts.length);
  const words = new Int32Array(length / 4);
  words.set(
    [
      rect.top,
      rect.left,
      rect.width,
      level.height - 1,
      level.width - 1,
      head.hidden / 8,
      head.outputShift,
      0,
      ...head.outputBias,
    ],
    0,
  );
  let axis = 0;
  let widest = 0;
  parts.forEach((part, i) => {
    const { rows, columns, depth } = queries[part.query]!;
    const height = part.to - part.from;
    const width = columns.index.length;
    widest = Math.max(widest, Math.ceil((height * width) / PIXELS));
    const at = table.offset / 4 + 8 * i;
    const cell = (i * head.hidden) / 4;
    words.set([height, width, axis, axis + height, part.byteOffset / 4, depth, cell, 0], at);
    const write = ({ index, fraction }: Query['rows'], from: number, to: number) => {
      for (let j = from, k = axes.offset / 4 + 2 * axis; j < to; j++, axis++) {
        words[k++] = index[j]!;
        words[k++] = fraction[j]!;
      }
    };
    write(rows, part.from, part.to);
    write(columns, 0, width);
    const term = cellTerm(head, rows.cell, columns.cell);
    for (let octet = 0, next = terms.offset / 4 + 4 * cell; octet < head.hidden; octet += 8)
      next = packOctet(term, octet, words, next);
  });
  return { words, features, queries: table, axes, terms, workgroups: [widest, parts.length] };
}

/** Copies the samples of a dispatch to the results of their queries. */
export function unpackSamples(
  bytes: ArrayBuffer,
  { parts }: Batch,
  queries: readonly Query[],
  results: readonly Samples[],
): void {
  for (const { query, from, to, byteOffset } of parts) {
    const samples = results[query]!;
    const rowLength = queries[query]!.columns.index.length * 3;
    const length = (to - from) * rowLength;
    const found =
      samples instanceof Uint8Array
        ? new Uint8Array(bytes, byteOffset, length)
        : new Uint16Array(bytes, byteOffset, length);
    samples.set(found, from * rowLength);
  }
}
