import { RequestError } from '../../errors.ts';
import type { Head } from '../../network/model.ts';
import type { Axis, Query, Samples } from '../engine.ts';
import type { WasmHeap } from './heap.ts';
import type { HeapFeatures } from './heap-features.ts';
import type { Job } from './job.ts';
import { headByteLength, headShift, writeHead } from './pack-head.ts';
import { controlWords, type Operation } from './program.ts';

/** Output pixels for each thread: with fewer, a second thread costs more than it saves. */
const PIXELS_PER_THREAD = 1 << 13;
/** Rows of a strip at least: each strip computes the terms of the columns anew. */
const MIN_STRIP_ROWS = 16;
const STRIPS_PER_QUERY = 4;

/** Addresses of one query's parts, relative to the job's memory. */
interface Layout {
  readonly head: number;
  readonly rowIndex: number;
  readonly columnIndex: number;
  readonly rowFraction: number;
  readonly columnFraction: number;
  readonly terms: number;
  readonly samples: number;
}

/** Spec 4.3 to 4.5 for queries over one feature map, cut into strips of rows. */
export function headJob(
  heap: WasmHeap,
  head: Head,
  features: HeapFeatures,
  queries: readonly Query[],
  threads: number,
): Job<Samples[]> {
  for (const query of queries) expectInside(features, query);
  const pixels = queries.reduce(
    (sum, { rows, columns }) => sum + rows.index.length * columns.index.length,
    0,
  );
  return {
    maxThreads: headThreads(pixels, threads),
    begin(participants) {
      const letGo = features.use();
      const layouts: Layout[] = [];
      let length = 0;
      for (const query of queries) length = layOut(layouts, query, head, length);
      const strips = queries.reduce((sum, { rows }) => sum + headStrips(rows.index.length), 0);
      const words = controlWords(strips);
      let address: number;
      try {
        address = heap.allocate(length + 4 * words);
      } catch (error) {
        letGo();
        throw error;
      }
      const { buffer } = heap.memory;
      const operations: Operation[] = [];
      for (const [i, layout] of layouts.entries()) {
        writeQuery(buffer, address, layout, head, queries[i]!);
        pushStrips(operations, features, head, queries[i]!, layout, address);
      }
      return {
        message: { kind: 'run', operations, control: address + length, threads: participants },
        ...heap.control(address + length, words),
        finish: () =>
          layouts.map(({ samples }, i) => {
            const { rows, columns, depth, into } = queries[i]!;
            const count = 3 * rows.index.length * columns.index.length;
            return depth === 16
              ? new Uint16Array(heap.memory.buffer, address + samples, count).slice()
              : copied(new Uint8Array(heap.memory.buffer, address + samples, count), into);
          }),
        release() {
          heap.free(address);
          letGo();
        },
      };
    },
  };
}

/** A copy of samples, in `into` if that has their length. */
export function copied(samples: Uint8Array, into: Uint8Array | undefined): Uint8Array {
  if (into?.length !== samples.length) return samples.slice();
  into.set(samples);
  return into;
}

function layOut(layouts: Layout[], { rows, columns, depth }: Query, head: Head, start: number): number {
  const height = rows.index.length;
  const width = columns.index.length;
  let end = start;
  const take = (bytes: number) => {
    const at = end;
    end += Math.ceil(bytes / 16) * 16;
    return at;
  };
  layouts.push({
    head: take(headByteLength(head)),
    rowIndex: take(4 * height),
    columnIndex: take(4 * width),
    rowFraction: take(2 * height),
    columnFraction: take(2 * width),
    terms: take(termsByteLength(head, height, width)),
    samples: take(3 * height * width * (depth / 8)),
  });
  return end;
}

function writeQuery(buffer: ArrayBufferLike, base: number, layout: Layout, head: Head, query: Query): void {
  const { rows, columns, depth } = query;
  writeHead(head, rows.cell, columns.cell, depth, buffer, base + layout.head);
  new Int32Array(buffer, base + layout.rowIndex, rows.index.length).set(rows.index);
  new Int32Array(buffer, base + layout.columnIndex, columns.index.length).set(columns.index);
  new Int16Array(buffer, base + layout.rowFraction, rows.index.length).set(rows.fraction);
  new Int16Array(buffer, base + layout.columnFraction, columns.index.length).set(columns.fraction);
}

function pushStrips(
  operations: Operation[],
  features: HeapFeatures,
  head: Head,
  { rows, columns, depth }: Query,
  layout: Layout,
  base: number,
): void {
  const outputRow = columns.index.length * 3 * (depth / 8);
  pushHead(operations, features, head, {
    rows: rows.index.length,
    columns: columns.index.length,
    rowIndex: base + layout.rowIndex,
    columnIndex: base + layout.columnIndex,
    rowFraction: base + layout.rowFraction,
    columnFraction: base + layout.columnFraction,
    head: base + layout.head,
    shift: headShift(head, depth),
    form: depth === 16 ? 1 : 0,
    plane: 0,
    terms: base + layout.terms,
    output: base + layout.samples,
    outputRow,
  });
}

/** Arguments of the kernel `head` (kernels/index.ts). */
export interface HeadCall {
  readonly rows: number;
  readonly columns: number;
  readonly rowIndex: number;
  readonly columnIndex: number;
  readonly rowFraction: number;
  readonly columnFraction: number;
  readonly head: number;
  readonly shift: number;
  readonly form: number;
  readonly plane: number;
  /** `termsByteLength` bytes. */
  readonly terms: number;
  readonly output: number;
  readonly outputRow: number;
}

const stripRowsOf = (rows: number): number => Math.max(MIN_STRIP_ROWS, Math.ceil(rows / STRIPS_PER_QUERY));

/** How many strips, and so operations, one head call has. */
export const headStrips = (rows: number): number => Math.ceil(rows / stripRowsOf(rows));

/** Bytes of `terms` for all strips of one head call. */
export function termsByteLength(head: Head, rows: number, columns: number): number {
  return stripTerms(head, columns) * headStrips(rows);
}

const stripTerms = (head: Head, columns: number): number => (2 + 2 * columns) * head.hidden * 2;

/** The head over one feature map, an operation for each strip of rows. */
export function pushHead(
  operations: Operation[],
  { region, level }: HeapFeatures,
  head: Head,
  call: HeadCall,
): void {
  const { rect, address } = region;
  const stripRows = stripRowsOf(call.rows);
  let { terms } = call;
  for (let from = 0; from < call.rows; from += stripRows) {
    const count = Math.min(stripRows, call.rows - from);
    operations.push({
      kernel: 'head',
      args: [
        address,
        rect.width * head.hidden * 2,
        rect.top,
        rect.left,
        level.height,
        level.width,
        call.rowIndex + 4 * from,
        call.rowFraction + 2 * from,
        call.columnIndex,
        call.columnFraction,
        call.columns,
        call.head,
        head.hidden,
        call.shift,
        call.form,
        call.plane,
        terms,
        call.output + from * call.outputRow,
        call.outputRow,
        0,
        count,
      ],
      fromArgument: HEAD_FROM,
      rows: count,
      stripRows: count,
      barrier: false,
    });
    terms += stripTerms(head, call.columns);
  }
}

/** Position of `from` among the arguments of the kernel `head`. */
const HEAD_FROM = 19;

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
