import type { ReducedAxis } from '../engine/engine.ts';
import { blockOf, tapsOf } from '../head/query.ts';
import type { Raster } from '../image/raster.ts';

const WEIGHT_BITS = 12;

/**
 * The reduction of spec 4.7. `push` takes the rows of the grid from top to bottom, in pieces of any height;
 * `finish` gives the output. Memory: the output, and for its height h at most 4 h + 12 rows of 32 bits a
 * sample.
 */
export class Reducer {
  readonly #channels: Raster['channels'];
  readonly #depth: 8 | 16;
  readonly #rows: ReducedAxis;
  readonly #columns: ReducedAxis;
  /** H of spec 4.7: a row of (output columns, channels) for each row of blocks. */
  readonly #filtered: Int32Array;
  /** Fraction bits of H. */
  readonly #fraction: number;
  /** A row of blocks, margins and all: (channels, blocks). */
  readonly #line: Int32Array;
  readonly #blocks: number;
  /** Sums of blocks that are larger than a grid pixel. */
  readonly #sums: Float64Array | undefined;
  /** Rows of the grid that came in, and those that have been processed, margins included. */
  #received = 0;
  #done = 0;
  /**
   * The row of the grid that `#line` holds the means of, where all rows of the block are copies of it;
   * otherwise -1.
   */
  #alone = -1;

  constructor(channels: Raster['channels'], depth: 8 | 16, rows: ReducedAxis, columns: ReducedAxis) {
    this.#channels = channels;
    this.#depth = depth;
    this.#rows = rows;
    this.#columns = columns;
    this.#fraction = depth === 8 ? 6 : 0;
    this.#blocks = columns.span.wanted / blockOf(columns.density);
    this.#line = new Int32Array(channels * this.#blocks);
    if (rows.density > 4 || columns.density > 4) this.#sums = new Float64Array(this.#line.length);
    const height = rows.span.wanted / blockOf(rows.density);
    this.#filtered = new Int32Array(height * columns.count * channels);
  }

  /**
   * Takes the next rows of the grid, inside the picture: row-major, interleaved, `columns.span.count`
   * columns.
   */
  push(grid: Raster['data']): void {
    const { span, density } = this.#rows;
    const length = this.#columns.span.count * this.#channels;
    const from = this.#received;
    this.#received += grid.length / length;
    const block = blockOf(density);
    while (this.#done < span.wanted) {
      const row = held(this.#done + span.shift, span.count);
      if (row >= this.#received) return;
      const start = (row - from) * length;
      const line = Math.floor(this.#done / block);
      if (this.#sums === undefined) {
        this.#takeRow(grid, start);
        this.#done++;
      } else {
        const begun = this.#done;
        const end = (line + 1) * block;
        this.#done = heldUntil(row, span.count, span.shift, end);
        const times = this.#done - begun;
        if (times < block || row !== this.#alone) {
          this.#addRow(this.#sums, grid, start, times);
          if (this.#done < end) continue;
          this.#takeMeans(this.#sums);
        }
        this.#alone = times < block ? -1 : row;
      }
      this.#filterLine(line);
    }
  }

  /** The output, once all rows went in. */
  finish(): Raster {
    const width = this.#columns.count;
    const height = this.#rows.count;
    const channels = this.#channels;
    const size = width * height * channels;
    const data = this.#depth === 8 ? new Uint8Array(size) : new Uint16Array(size);
    const filtered = this.#filtered;
    const shift = WEIGHT_BITS + this.#fraction;
    const half = 1 << (shift - 1);
    const last = this.#depth === 8 ? 255 : 65535;
    const k = tapsOf(this.#rows.density);
    const length = width * channels;
    const sums = new Int32Array(length);
    for (let y = 0, o = 0; y < height; y++) {
      const from = { values: filtered, start: k * y * length, step: 1, tap: length };
      weigh(k, from, { values: sums, start: 0, step: 1, count: length });
      for (let i = 0; i < length; i++, o++) data[o] = Math.max(0, Math.min((sums[i]! + half) >> shift, last));
    }
    return { width, height, channels, data };
  }

  /** A row of the grid, its ends repeated. */
  #takeRow(grid: Raster['data'], start: number): void {
    const { wanted, shift, count } = this.#columns.span;
    const channels = this.#channels;
    const line = this.#line;
    for (let c = 0, o = 0; c < channels; c++)
      for (let i = 0; i < wanted; i++, o++) line[o] = grid[start + c + held(i + shift, count) * channels]!;
  }

  #addRow(sums: Float64Array, grid: Raster['data'], start: number, times: number): void {
    const { shift, count } = this.#columns.span;
    const block = blockOf(this.#columns.density);
    const channels = this.#channels;
    for (let c = 0, o = 0; c < channels; c++) {
      for (let j = 0, i = shift; j < this.#blocks; j++, o++) {
        const end = i + block;
        let sum = 0;
        while (i < end) {
          const column = held(i, count);
          const next = heldUntil(column, count, 0, end);
          sum += (next - i) * grid[start + c + column * channels]!;
          i = next;
        }
        sums[o]! += times * sum;
      }
    }
  }

  #takeMeans(sums: Float64Array): void {
    const pixels = blockOf(this.#rows.density) * blockOf(this.#columns.density);
    for (let i = 0; i < sums.length; i++) this.#line[i] = Math.floor((sums[i]! + pixels / 2) / pixels);
    sums.fill(0);
  }

  #filterLine(row: number): void {
    const { density, count } = this.#columns;
    const channels = this.#channels;
    const line = this.#line;
    const filtered = this.#filtered;
    const shift = WEIGHT_BITS - this.#fraction;
    const half = 1 << (shift - 1);
    const k = tapsOf(density);
    const start = row * count * channels;
    for (let c = 0; c < channels; c++)
      weigh(
        k,
        { values: line, start: c * this.#blocks, step: k, tap: 1 },
        { values: filtered, start: start + c, step: channels, count },
      );
    for (let i = start; i < start + count * channels; i++) filtered[i] = (filtered[i]! + half) >> shift;
  }
}

/** What sums are of: the values of one are `tap` apart, and the next one begins `step` further. */
interface Summands {
  readonly values: Int32Array;
  readonly start: number;
  readonly step: number;
  readonly tap: number;
}

/** Where sums go: `count` places that are `step` apart. */
interface Sums {
  readonly values: Int32Array;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** Writes sums by the weights of k (spec 4.7), which are symmetric. */
function weigh(k: number, { values: v, start, step, tap }: Summands, to: Sums): void {
  const { values: out, step: outStep } = to;
  let p = start;
  let o = to.start;
  const end = o + to.count * outStep;
  const [p1, p2, p3, p4, p5, p6, p7] = [1, 2, 3, 4, 5, 6, 7].map((t) => t * tap) as Offsets7;
  if (k === 1) for (; o < end; o += outStep, p += step) out[o] = v[p]! << WEIGHT_BITS;
  else if (k === 2)
    for (; o < end; o += outStep, p += step)
      out[o] =
        1776 * (v[p + p3]! + v[p + p4]!) +
        464 * (v[p + p2]! + v[p + p5]!) -
        144 * (v[p + p1]! + v[p + p6]!) -
        48 * (v[p]! + v[p + p7]!);
  else {
    const q = p + 15 * tap;
    for (let r = q; o < end; o += outStep, p += step, r += step)
      out[o] =
        987 * (v[p + p7]! + v[r - p7]!) +
        745 * (v[p + p6]! + v[r - p6]!) +
        399 * (v[p + p5]! + v[r - p5]!) +
        93 * (v[p + p4]! + v[r - p4]!) -
        49 * (v[p + p3]! + v[r - p3]!) -
        75 * (v[p + p2]! + v[r - p2]!) -
        45 * (v[p + p1]! + v[r - p1]!) -
        7 * (v[p]! + v[r]!);
  }
}

type Offsets7 = [number, number, number, number, number, number, number];

function held(i: number, count: number): number {
  return i < 0 ? 0 : i >= count ? count - 1 : i;
}

/**
 * The first index before `end` whose grid pixel, clamped after adding `shift`, lies behind `place`; `end` if
 * there is none. In a small output most rows and columns repeat the first or the last one, and are added at
 * once.
 */
function heldUntil(place: number, count: number, shift: number, end: number): number {
  return place < count - 1 ? Math.min(end, place + 1 - shift) : end;
}
