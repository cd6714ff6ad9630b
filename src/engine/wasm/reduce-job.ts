import { RequestError } from '../../errors.ts';
import { blockOf, tapsOf } from '../../head/query.ts';
import type { Head } from '../../network/model.ts';
import type { Axis, FeaturePart, Rect, ReducedAxis, Reduction, SamplePart } from '../engine.ts';
import { copied, expectInside, headStrips, headThreads, pushHead, termsByteLength } from './head-job.ts';
import type { WasmHeap } from './heap.ts';
import type { HeapFeatures } from './heap-features.ts';
import type { Job } from './job.ts';
import { headByteLength, headShift, writeHead } from './pack-head.ts';
import { controlWords, type Operation } from './program.ts';

/** A part whose features lie in this engine's memory. */
export interface HeapPart extends FeaturePart {
  readonly features: HeapFeatures;
}

/** Rows of a strip of all kernels but `head`. */
const STRIP_ROWS = 16;
/** How many known pixels take as long as one pixel of the head. */
const KNOWN_PIXELS = 8;
/** Bytes that the kernel `spread` may read behind the last row. */
const SPREAD_BYTES = 32;

/** The filter of 4.7 along one axis. */
interface Filter {
  /** Side of a block in grid pixels. */
  readonly block: number;
  readonly blocks: number;
  /** Blocks for each output pixel: 1, 2 or 4. */
  readonly k: number;
}

function filterOf({ density, span }: ReducedAxis): Filter {
  const block = blockOf(density);
  return { block, blocks: span.wanted / block, k: tapsOf(density) };
}

/** Spec 4.3 to 4.7. The head, or known samples, fill the grid, part by part; then it is joined to blocks, and filtered along rows, then down columns (kernels/reduce.ts). */
export function reduceJob(
  heap: WasmHeap,
  head: Head,
  reduction: Omit<Reduction, 'parts'> & { readonly parts: readonly (HeapPart | SamplePart)[] },
  threads: number,
): Job<Uint8Array> {
  const { grid, rows, columns, gray, into } = reduction;
  const height = grid.rows.index.length;
  const width = grid.columns.index.length;
  const channels = gray ? 1 : 3;
  const parts = reduction.parts.filter((part) => 'features' in part);
  const known = reduction.parts.filter((part) => 'samples' in part);
  const areaOf = (some: readonly (HeapPart | SamplePart)[]) =>
    some.reduce((sum, { rect }) => sum + rect.height * rect.width, 0);
  for (const { features, rect } of parts)
    expectInside(features, {
      rows: slice(grid.rows, rect.top, rect.height),
      columns: slice(grid.columns, rect.left, rect.width),
    });
  for (const { samples, pitch, rect } of known)
    if (
      rect.top < 0 ||
      rect.left < 0 ||
      rect.top + rect.height > height ||
      rect.left + rect.width > width ||
      samples.length < lengthOf(rect, pitch, channels)
    )
      throw new RequestError('Expected samples of a part that lies inside the grid');
  if (
    grid.depth !== 8 ||
    areaOf(reduction.parts) !== height * width ||
    height !== rows.span.count ||
    width !== columns.span.count
  )
    throw new RequestError('Expected a grid of 8 bits that its parts cover');
  const vertical = filterOf(rows);
  const horizontal = filterOf(columns);
  const joined = vertical.block > 1 || horizontal.block > 1;
  // Kernels make eight columns at a time.
  const outputWidth = eights(columns.count);
  // Room for columns of a row, those that the last eight sums read included.
  const pitch = (count: number) => eights(Math.max(count, horizontal.k * (outputWidth + 3)));
  const gridPlane = 2 * pitch(columns.span.wanted);
  const blockPlane = 2 * pitch(horizontal.blocks);
  const filteredPlane = 2 * outputWidth;
  const before = joined ? 0 : Math.max(0, Math.min(columns.span.wanted - 1, -columns.span.shift));

  return {
    maxThreads: headThreads(areaOf(parts) + areaOf(known) / KNOWN_PIXELS, threads),
    begin(participants) {
      let length = 0;
      const take = (bytes: number) => {
        const at = length;
        length += Math.ceil(bytes / 16) * 16;
        return at;
      };
      const at = {
        head: take(headByteLength(head)),
        rowIndex: take(4 * height),
        columnIndex: take(4 * width),
        rowFraction: take(2 * height),
        columnFraction: take(2 * width),
        grid: take(height * channels * gridPlane),
        blocks: take(joined ? vertical.blocks * channels * blockPlane : 0),
        filtered: take(vertical.blocks * channels * filteredPlane),
        samples: take(rows.count * channels * outputWidth),
        terms: parts.map(({ rect }) => take(termsByteLength(head, rect.height, rect.width))),
        known: known.map(({ rect, pitch }) => take(lengthOf(rect, pitch, channels) + SPREAD_BYTES)),
      };
      const words = controlWords(
        parts.reduce((sum, { rect }) => sum + headStrips(rect.height), known.length + 3),
      );
      const control = take(4 * words);
      const base = heap.allocate(length);
      const letGo = parts.map(({ features }) => features.use());
      const { buffer } = heap.memory;
      writeHead(head, grid.rows.cell, grid.columns.cell, 8, buffer, base + at.head);
      new Int32Array(buffer, base + at.rowIndex, height).set(grid.rows.index);
      new Int32Array(buffer, base + at.columnIndex, width).set(grid.columns.index);
      new Int16Array(buffer, base + at.rowFraction, height).set(grid.rows.fraction);
      new Int16Array(buffer, base + at.columnFraction, width).set(grid.columns.fraction);

      const operations: Operation[] = [];
      const outputOf = ({ top, left }: Rect) =>
        base + at.grid + top * channels * gridPlane + 2 * (before + left);
      for (const [i, { samples, pitch, rect }] of known.entries()) {
        const address = base + at.known[i]!;
        const used = samples.subarray(0, lengthOf(rect, pitch, channels));
        new Uint8Array(buffer, address, used.length).set(used);
        const output = [outputOf(rect), channels * gridPlane, gridPlane];
        const args = [address, pitch, rect.width, channels, ...output];
        const shape = { fromArgument: args.length, rows: rect.height, stripRows: STRIP_ROWS, barrier: false };
        operations.push({ kernel: 'spread', args: [...args, 0, 0], ...shape });
      }
      for (const [i, { features, rect }] of parts.entries()) {
        pushHead(operations, features, head, {
          rows: rect.height,
          columns: rect.width,
          rowIndex: base + at.rowIndex + 4 * rect.top,
          columnIndex: base + at.columnIndex + 4 * rect.left,
          rowFraction: base + at.rowFraction + 2 * rect.top,
          columnFraction: base + at.columnFraction + 2 * rect.left,
          head: base + at.head,
          shift: headShift(head, 8),
          form: gray ? 3 : 2,
          plane: gridPlane,
          terms: base + at.terms[i]!,
          output: outputOf(rect),
          outputRow: channels * gridPlane,
        });
      }
      const { span } = columns;
      const push = (kernel: Operation['kernel'], count: number, ...args: number[]) => {
        operations[operations.length - 1] = { ...operations.at(-1)!, barrier: true };
        const shape = { fromArgument: args.length, rows: count, stripRows: STRIP_ROWS, barrier: false };
        operations.push({ kernel, args: [...args, 0, 0], ...shape });
      };
      const gridAt = [base + at.grid, channels * gridPlane, gridPlane, height];
      const blocksAt = [base + at.blocks, channels * blockPlane, blockPlane];
      const filteredAt = [base + at.filtered, channels * filteredPlane, filteredPlane];
      if (joined)
        push(
          'joinBlocks',
          vertical.blocks,
          ...gridAt,
          width,
          rows.span.shift,
          span.shift,
          vertical.block,
          horizontal.block,
          channels,
          horizontal.blocks,
          ...blocksAt,
        );
      push(
        'reduceRows',
        vertical.blocks,
        ...(joined
          ? [...blocksAt, vertical.blocks, 0, 0, horizontal.blocks, horizontal.blocks]
          : [...gridAt, rows.span.shift, before, width, span.wanted]),
        horizontal.k,
        columns.count,
        channels,
        ...filteredAt,
      );
      push(
        'reduceColumns',
        rows.count,
        ...filteredAt,
        vertical.k,
        columns.count,
        channels,
        base + at.samples,
        channels * outputWidth,
      );

      return {
        message: { kind: 'run', operations, control: base + control, threads: participants },
        ...heap.control(base + control, words),
        finish() {
          const row = channels * columns.count;
          if (outputWidth === columns.count)
            return copied(new Uint8Array(heap.memory.buffer, base + at.samples, rows.count * row), into);
          const samples = new Uint8Array(rows.count * row);
          for (let y = 0; y < rows.count; y++) {
            const from = base + at.samples + y * channels * outputWidth;
            samples.set(new Uint8Array(heap.memory.buffer, from, row), y * row);
          }
          return samples;
        },
        release() {
          heap.free(base);
          for (const free of letGo) free();
        },
      };
    },
  };
}

/** Bytes from the first sample of a part to its last. */
const lengthOf = ({ height, width }: Rect, pitch: number, channels: number): number =>
  (height - 1) * pitch + width * channels;

const eights = (count: number): number => 8 * Math.ceil(count / 8);

function slice({ index, fraction, cell }: Axis, from: number, count: number): Axis {
  return { index: index.subarray(from, from + count), fraction: fraction.subarray(from, from + count), cell };
}
