import type { GridSpan } from '../head/query.ts';
import type { Raster } from '../image/raster.ts';

const WEIGHT_BITS = 12;

/** One axis of a reduction. */
export interface ReducedAxis {
  /** m of spec 4.2. */
  readonly density: number;
  readonly span: GridSpan;
  /** Output pixels. */
  readonly count: number;
}

/**
 * Spec 4.7: rows of the grid go in from top to bottom, in pieces as they come, and the output comes out. Memory: the output, and at most
 * four rows of 32 bits a sample for each of its rows, and twelve.
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
  /** Rows of the grid that came in, and those that are dealt with, margins and all. */
  #received = 0;
  #done = 0;

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

  /** The next rows of the grid, those inside the picture: row-major, interleaved, `columns.span.count` columns. */
  push(grid: Raster['data']): void {
    const { span, density } = this.#rows;
    const length = this.#columns.span.count * this.#channels;
    const from = this.#received;
    this.#received += grid.length / length;
    const block = blockOf(density);
    for (; this.#done < span.wanted; this.#done++) {
      const row = held(this.#done + span.shift, span.count);
      if (row >= this.#received) return;
      const start = (row - from) * length;
      if (this.#sums === undefined) this.#takeRow(grid, start);
      else {
        this.#addRow(this.#sums, grid, start);
        if ((this.#done + 1) % block !== 0) continue;
        this.#takeMeans(this.#sums);
      }
      this.#filterLine(Math.floor(this.#done / block));
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
    for (let y = 0, o = 0; y < height; y++) {
      let p = k * y * length;
      for (const end = o + length; o < end; o++, p++) {
        const value = (weighed(filtered, p, length, k) + half) >> shift;
        data[o] = Math.max(0, Math.min(value, last));
      }
    }
    return { width, height, channels, data };
  }

  /** A row of the grid, its ends repeated. */
  #takeRow(grid: Raster['data'], start: number): void {
    const { wanted, shift, count } = this.#columns.span;
    const channels = this.#channels;
    const line = this.#line;
    const before = Math.min(wanted, Math.max(0, -shift));
    const inside = Math.min(wanted, Math.max(0, count - shift));
    for (let c = 0; c < channels; c++) {
      const o = c * wanted;
      const first = start + c;
      line.fill(grid[first]!, o, o + before);
      let p = first + (before + shift) * channels;
      for (let i = o + before; i < o + inside; i++, p += channels) line[i] = grid[p]!;
      line.fill(grid[first + (count - 1) * channels]!, o + inside, o + wanted);
    }
  }

  #addRow(sums: Float64Array, grid: Raster['data'], start: number): void {
    const { shift, count } = this.#columns.span;
    const block = blockOf(this.#columns.density);
    const channels = this.#channels;
    for (let c = 0, o = 0; c < channels; c++) {
      for (let j = 0, i = shift; j < this.#blocks; j++, o++) {
        let sum = 0;
        for (let t = 0; t < block; t++, i++) sum += grid[start + c + held(i, count) * channels]!;
        sums[o]! += sum;
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
    for (let c = 0; c < channels; c++) {
      let p = c * this.#blocks;
      let o = row * count * channels + c;
      for (let j = 0; j < count; j++, p += k, o += channels)
        filtered[o] = (weighed(line, p, 1, k) + half) >> shift;
    }
  }
}

/** Sum over the weights of k (spec 4.7), symmetric, of every s-th value from p on. */
function weighed(v: Int32Array, p: number, s: number, k: number): number {
  if (k === 2)
    return (
      1776 * (v[p + 3 * s]! + v[p + 4 * s]!) +
      464 * (v[p + 2 * s]! + v[p + 5 * s]!) -
      144 * (v[p + s]! + v[p + 6 * s]!) -
      48 * (v[p]! + v[p + 7 * s]!)
    );
  if (k === 4)
    return (
      987 * (v[p + 7 * s]! + v[p + 8 * s]!) +
      745 * (v[p + 6 * s]! + v[p + 9 * s]!) +
      399 * (v[p + 5 * s]! + v[p + 10 * s]!) +
      93 * (v[p + 4 * s]! + v[p + 11 * s]!) -
      49 * (v[p + 3 * s]! + v[p + 12 * s]!) -
      75 * (v[p + 2 * s]! + v[p + 13 * s]!) -
      45 * (v[p + s]! + v[p + 14 * s]!) -
      7 * (v[p]! + v[p + 15 * s]!)
    );
  return v[p]! << WEIGHT_BITS;
}

/** b of spec 4.7: grid pixels on the side of a block. */
function blockOf(density: number): number {
  return Math.max(1, density / 4);
}

/** k of spec 4.7: 1, 2 or 4 blocks for each output pixel. */
function tapsOf(density: number): number {
  return Math.min(4, density);
}

function held(i: number, count: number): number {
  return i < 0 ? 0 : i >= count ? count - 1 : i;
}
