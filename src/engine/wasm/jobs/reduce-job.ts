import { RequestError } from '../../../errors.ts';
import { blockOf, tapsOf } from '../../../head/query.ts';
import type { Head } from '../../../network/model.ts';
import type { Axis, FeaturePart, Rect, ReducedAxis, Reduction, SamplePart } from '../../engine.ts';
import type { FreeList, WasmHeap } from '../heap.ts';
import type { HeapFeatures } from '../heap-features.ts';
import { barrier } from '../program/plan.ts';
import type { Operation } from '../program/program.ts';
import type { Job } from '../threads/job.ts';
import {
  areaOf,
  copied,
  expectInside,
  headThreads,
  placeQuery,
  pushHead,
  termsByteLength,
  writeQuery,
} from './head-job.ts';
import { beginProgram } from './program-job.ts';

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

/** A reduction whose feature maps lie in this engine's memory. */
type HeapReduction = Omit<Reduction, 'parts'> & { readonly parts: readonly (HeapPart | SamplePart)[] };

/** Sizes of a reduction's tensors, which are (rows, channels, columns) of int16; distances in bytes. */
interface Shape {
  readonly vertical: Filter;
  readonly horizontal: Filter;
  /** Whether blocks have more than one pixel. */
  readonly joined: boolean;
  readonly channels: 1 | 3;
  /** Columns of the output in memory: kernels make eight at a time. */
  readonly outputWidth: number;
  /** Distances between channels of the grid, of the blocks' means, and of H. */
  readonly gridPlane: number;
  readonly blockPlane: number;
  readonly filteredPlane: number;
  /** Columns of a row of the grid before the first one inside the picture. */
  readonly before: number;
}

function shapeOf({ rows, columns, gray }: HeapReduction): Shape {
  const vertical = filterOf(rows);
  const horizontal = filterOf(columns);
  const joined = vertical.block > 1 || horizontal.block > 1;
  const { wanted, shift } = columns.span;
  const outputWidth = eights(columns.count);
  // Room for columns of a row, those that the last eight sums read included.
  const planeOf = (count: number) => 2 * eights(Math.max(count, horizontal.k * (outputWidth + 3)));
  return {
    vertical,
    horizontal,
    joined,
    channels: gray ? 1 : 3,
    outputWidth,
    gridPlane: planeOf(wanted),
    blockPlane: planeOf(horizontal.blocks),
    filteredPlane: 2 * outputWidth,
    before: joined ? 0 : Math.max(0, Math.min(wanted - 1, -shift)),
  };
}

/**
 * Spec 4.3 to 4.7. The head, or known samples, fill the grid, part by part; then it is joined to blocks, and
 * filtered along rows, then down columns (kernels/reduce.ts). Throws RequestError for parts that do not make
 * up the grid.
 */
export function reduceJob(
  heap: WasmHeap,
  head: Head,
  reduction: HeapReduction,
  threads: number,
): Job<Uint8Array> {
  const shape = shapeOf(reduction);
  expectReduction(reduction, shape);
  const { grid, rows, columns, into } = reduction;
  const { channels, outputWidth, gridPlane } = shape;
  const parts = reduction.parts.filter((part) => 'features' in part);
  const known = reduction.parts.filter((part) => 'samples' in part);
  const plan = (list: FreeList) => {
    const operations: Operation[] = [];
    const query = placeQuery(list, head, grid);
    const at = {
      grid: list.allocate(rows.span.count * channels * gridPlane),
      blocks: list.allocate(shape.joined ? shape.vertical.blocks * channels * shape.blockPlane : 0),
      filtered: list.allocate(shape.vertical.blocks * channels * shape.filteredPlane),
      samples: list.allocate(rows.count * channels * outputWidth),
    };
    const outputRow = channels * gridPlane;
    const outputOf = ({ top, left }: Rect) => at.grid + top * outputRow + 2 * (shape.before + left);
    const copies = known.map(({ samples, pitch, rect }, i) => {
      const used = samples.subarray(0, lengthOf(known[i]!, channels));
      const address = list.allocate(used.length + SPREAD_BYTES);
      const output = [outputOf(rect), outputRow, gridPlane];
      push(operations, 'spread', rect.height, address, pitch, rect.width, channels, ...output);
      return { address, used };
    });
    for (const { features, rect } of parts)
      pushHead(operations, features, head, query, rect, {
        form: channels === 1 ? 3 : 2,
        plane: gridPlane,
        terms: list.allocate(termsByteLength(head, rect)),
        output: outputOf(rect),
        outputRow,
      });
    pushFilters(operations, reduction, shape, at);
    return { operations, query, copies, samples: at.samples };
  };

  return {
    maxThreads: headThreads(sumOfAreas(parts) + sumOfAreas(known) / KNOWN_PIXELS, threads),
    begin(participants) {
      const program = beginProgram(heap, participants, plan);
      const at = program.plan;
      const letGo = parts.map(({ features }) => features.use());
      writeQuery(heap, head, grid, at.query);
      for (const { address, used } of at.copies)
        new Uint8Array(heap.memory.buffer, address, used.length).set(used);
      return {
        ...program,
        finish() {
          const row = channels * columns.count;
          if (outputWidth === columns.count)
            return copied(new Uint8Array(heap.memory.buffer, at.samples, rows.count * row), into);
          const samples = new Uint8Array(rows.count * row);
          for (let y = 0; y < rows.count; y++) {
            const from = at.samples + y * channels * outputWidth;
            samples.set(new Uint8Array(heap.memory.buffer, from, row), y * row);
          }
          return samples;
        },
        release() {
          program.free();
          for (const free of letGo) free();
        },
      };
    },
  };
}

/** Throws RequestError unless the parts make up the grid and have all that they need. */
function expectReduction({ grid, rows, columns, parts }: HeapReduction, { channels }: Shape): void {
  const height = grid.rows.index.length;
  const width = grid.columns.index.length;
  for (const part of parts) {
    const { rect } = part;
    if ('features' in part)
      expectInside(part.features, {
        rows: slice(grid.rows, rect.top, rect.height),
        columns: slice(grid.columns, rect.left, rect.width),
      });
    else if (
      rect.top < 0 ||
      rect.left < 0 ||
      rect.top + rect.height > height ||
      rect.left + rect.width > width ||
      part.samples.length < lengthOf(part, channels)
    )
      throw new RequestError('Expected samples of a part that lies inside the grid');
  }
  if (
    grid.depth !== 8 ||
    sumOfAreas(parts) !== height * width ||
    height !== rows.span.count ||
    width !== columns.span.count
  )
    throw new RequestError('Expected a grid of 8 bits that its parts cover');
}

/**
 * The filter of 4.7, over a grid that is filled: joinBlocks if need be, reduceRows, reduceColumns. Each
 * begins when all before it has ended.
 */
function pushFilters(
  operations: Operation[],
  { rows, columns }: HeapReduction,
  {
    vertical,
    horizontal,
    joined,
    channels,
    outputWidth,
    gridPlane,
    blockPlane,
    filteredPlane,
    before,
  }: Shape,
  at: { readonly grid: number; readonly blocks: number; readonly filtered: number; readonly samples: number },
): void {
  const { span } = columns;
  const gridAt = [at.grid, channels * gridPlane, gridPlane, rows.span.count];
  const blocksAt = [at.blocks, channels * blockPlane, blockPlane];
  const filteredAt = [at.filtered, channels * filteredPlane, filteredPlane];
  if (joined) {
    const shifts = [rows.span.shift, span.shift];
    const sides = [vertical.block, horizontal.block];
    const output = [channels, horizontal.blocks, ...blocksAt];
    barrier(operations);
    push(operations, 'joinBlocks', vertical.blocks, ...gridAt, span.count, ...shifts, ...sides, ...output);
  }
  const input = joined
    ? [...blocksAt, vertical.blocks, 0, 0, horizontal.blocks, horizontal.blocks]
    : [...gridAt, rows.span.shift, before, span.count, span.wanted];
  const output = [columns.count, channels];
  barrier(operations);
  push(operations, 'reduceRows', vertical.blocks, ...input, horizontal.k, ...output, ...filteredAt);
  const samplesAt = [at.samples, channels * outputWidth];
  barrier(operations);
  push(operations, 'reduceColumns', rows.count, ...filteredAt, vertical.k, ...output, ...samplesAt);
}

function push(
  operations: Operation[],
  kernel: Operation['kernel'],
  rows: number,
  ...args: readonly number[]
): void {
  operations.push({ kernel, args, rows, stripRows: STRIP_ROWS, barrier: false });
}

/** Bytes from the first sample of a part to its last. */
const lengthOf = ({ rect, pitch }: SamplePart, channels: number): number =>
  (rect.height - 1) * pitch + rect.width * channels;

const sumOfAreas = (parts: readonly { readonly rect: Rect }[]): number =>
  parts.reduce((sum, { rect }) => sum + areaOf(rect), 0);

const eights = (count: number): number => 8 * Math.ceil(count / 8);

function slice({ index, fraction, cell }: Axis, from: number, count: number): Axis {
  return { index: index.subarray(from, from + count), fraction: fraction.subarray(from, from + count), cell };
}
