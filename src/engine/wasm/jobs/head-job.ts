import { RequestError } from '../../../errors.ts';
import type { Head } from '../../../network/model.ts';
import type { Axis, Query, Rect, Samples } from '../../engine.ts';
import type { FreeList, WasmHeap } from '../heap.ts';
import type { HeapFeatures } from '../heap-features.ts';
import { headByteLength, headShift, writeHead } from '../pack/pack-head.ts';
import type { Operation } from '../program/program.ts';
import type { Job } from '../threads/job.ts';
import { beginProgram } from './program-job.ts';

/** Output pixels for each thread: with fewer, a second thread costs more than it saves. */
const PIXELS_PER_THREAD = 1 << 13;
/** Rows of a strip at least: each strip computes the terms of the columns anew. */
const MIN_STRIP_ROWS = 16;
const STRIPS_PER_QUERY = 4;

/** Addresses of all that the kernel `head` reads of a query. */
export interface QueryPlaces {
  readonly head: number;
  readonly rowIndex: number;
  readonly columnIndex: number;
  readonly rowFraction: number;
  readonly columnFraction: number;
}

/**
 * Spec 4.3 to 4.5 for queries over one feature map, cut into strips of rows. Throws RequestError for queries
 * of sites that the map lacks.
 */
export function headJob(
  heap: WasmHeap,
  head: Head,
  features: HeapFeatures,
  queries: readonly Query[],
  threads: number,
): Job<Samples[]> {
  for (const query of queries) expectInside(features, query);
  const parts = queries.map(wholeOf);
  const plan = (list: FreeList) => {
    const operations: Operation[] = [];
    const places = queries.map((query, i) => {
      const part = parts[i]!;
      const places = placeQuery(list, head, query);
      const terms = list.allocate(termsByteLength(head, part));
      const samples = list.allocate(areaOf(part) * 3 * (query.depth / 8));
      const form = query.depth === 16 ? 1 : 0;
      const outputRow = part.width * 3 * (query.depth / 8);
      pushHead(operations, features, head, places, part, {
        form,
        plane: 0,
        terms,
        output: samples,
        outputRow,
      });
      return { ...places, samples };
    });
    return { operations, places };
  };
  return {
    maxThreads: headThreads(
      parts.reduce((sum, part) => sum + areaOf(part), 0),
      threads,
    ),
    begin(participants) {
      const program = beginProgram(heap, participants, plan);
      const { places } = program.plan;
      const letGo = features.use();
      for (const [i, query] of queries.entries()) writeQuery(heap, head, query, places[i]!);
      return {
        ...program,
        finish: () =>
          queries.map(({ depth, into }, i) => {
            const { samples } = places[i]!;
            const count = 3 * areaOf(parts[i]!);
            return depth === 16
              ? new Uint16Array(heap.memory.buffer, samples, count).slice()
              : copied(new Uint8Array(heap.memory.buffer, samples, count), into);
          }),
        release() {
          program.free();
          letGo();
        },
      };
    },
  };
}

/** All pixels of a query. */
function wholeOf({ rows, columns }: Query): Rect {
  return { top: 0, left: 0, height: rows.index.length, width: columns.index.length };
}

export const areaOf = ({ height, width }: Rect): number => height * width;

/** A copy of samples, in `into` if that has their length. */
export function copied(samples: Uint8Array, into: Uint8Array | undefined): Uint8Array {
  if (into?.length !== samples.length) return samples.slice();
  into.set(samples);
  return into;
}

export function placeQuery(list: FreeList, head: Head, { rows, columns }: Query): QueryPlaces {
  return {
    head: list.allocate(headByteLength(head)),
    rowIndex: list.allocate(rows.index.byteLength),
    columnIndex: list.allocate(columns.index.byteLength),
    rowFraction: list.allocate(rows.fraction.byteLength),
    columnFraction: list.allocate(columns.fraction.byteLength),
  };
}

export function writeQuery(heap: WasmHeap, head: Head, query: Query, at: QueryPlaces): void {
  const { rows, columns, depth } = query;
  const { buffer } = heap.memory;
  writeHead(head, rows.cell, columns.cell, depth, buffer, at.head);
  new Int32Array(buffer, at.rowIndex, rows.index.length).set(rows.index);
  new Int32Array(buffer, at.columnIndex, columns.index.length).set(columns.index);
  new Int16Array(buffer, at.rowFraction, rows.index.length).set(rows.fraction);
  new Int16Array(buffer, at.columnFraction, columns.index.length).set(columns.fraction);
}

/** Arguments of the kernel `head` (kernels/index.ts): how it writes samples. */
export interface HeadOutput {
  readonly form: 0 | 1 | 2 | 3;
  readonly plane: number;
  /** `termsByteLength` bytes. */
  readonly terms: number;
  readonly output: number;
  readonly outputRow: number;
}

const stripRowsOf = (rows: number): number => Math.max(MIN_STRIP_ROWS, Math.ceil(rows / STRIPS_PER_QUERY));

/** How many strips a head over so many rows has. */
const headStrips = (rows: number): number => Math.ceil(rows / stripRowsOf(rows));

/** Bytes of `terms` for all strips of a head over these pixels. */
export function termsByteLength(head: Head, { height, width }: Rect): number {
  return stripTerms(head, width) * headStrips(height);
}

const stripTerms = (head: Head, columns: number): number => (2 + 2 * columns) * head.hidden * 2;

/** The head over one feature map, for the pixels `part` of a query: an operation for each strip of rows. */
export function pushHead(
  operations: Operation[],
  { region, level }: HeapFeatures,
  head: Head,
  at: QueryPlaces,
  part: Rect,
  { form, plane, terms, output, outputRow }: HeadOutput,
): void {
  const { rect, address } = region;
  const stripRows = stripRowsOf(part.height);
  for (let from = 0, strip = 0; from < part.height; from += stripRows, strip++) {
    const row = part.top + from;
    const rows = Math.min(stripRows, part.height - from);
    operations.push({
      kernel: 'head',
      args: [
        address,
        rect.width * head.hidden * 2,
        rect.top,
        rect.left,
        level.height,
        level.width,
        at.rowIndex + 4 * row,
        at.rowFraction + 2 * row,
        at.columnIndex + 4 * part.left,
        at.columnFraction + 2 * part.left,
        part.width,
        at.head,
        head.hidden,
        headShift(head, form === 1 ? 16 : 8),
        form,
        plane,
        terms + strip * stripTerms(head, part.width),
        output + from * outputRow,
        outputRow,
      ],
      rows,
      stripRows: rows,
      barrier: false,
    });
  }
}

/** Threads for a head over so many pixels. */
export function headThreads(pixels: number, threads: number): number {
  return Math.max(1, Math.min(threads, Math.floor(pixels / PIXELS_PER_THREAD)));
}

/** Throws RequestError where a query needs sites that the map does not have. */
export function expectInside(
  { rect, level }: HeapFeatures,
  { rows, columns }: Pick<Query, 'rows' | 'columns'>,
): void {
  const inside = ({ index }: Axis, first: number, count: number, last: number) =>
    index.every((i) => {
      const near = Math.max(0, Math.min(last, i));
      const far = Math.max(0, Math.min(last, i + 1));
      return near >= first && far < first + count;
    });
  if (
    !inside(rows, rect.top, rect.height, level.height - 1) ||
    !inside(columns, rect.left, rect.width, level.width - 1)
  )
    throw new RequestError('Expected sample positions whose sites lie inside the feature map');
}
