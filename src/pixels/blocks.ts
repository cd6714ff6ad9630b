import type { Axis, Rect } from '../engine/engine.ts';

/**
 * How sites are grouped into windows of P: squares of `size` sites from the corner of the level on, or, if
 * `fitted`, from the first site of a query on.
 */
export interface BlockOptions {
  readonly size: number;
  readonly fitted: boolean;
}

/**
 * Side of a square of sites whose features, of `hidden` values each, take 64 MiB: the largest window of P
 * that is asked for at once.
 */
export function largestBlock(hidden: number): number {
  return Math.floor((2 ** 25 / hidden) ** 0.5);
}

/**
 * Pixels of a strip, which is computed before it is reduced: about this many where blocks allow, and never
 * more than the maximum.
 */
const STRIP_PIXELS = 1 << 21;
export const MAX_STRIP_PIXELS = 1 << 24;
/** A run of output rows (or columns) from .. to-1 served by sites first .. last of one block. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Cuts the rows of a grid into strips: small ones, and, if possible, where a block of features ends, so that
 * no block is needed twice.
 */
export function strips(rows: Axis, columns: number, sites: number, blocks: BlockOptions): [number, number][] {
  const most = Math.max(1, Math.floor(MAX_STRIP_PIXELS / columns));
  const found: [number, number][] = [];
  for (const { from, to } of runs(rows, sites, blocks)) {
    const last = found.at(-1);
    if (last && (to - last[0]) * columns <= STRIP_PIXELS) last[1] = to;
    else for (let row = from; row < to; row += most) found.push([row, Math.min(to, row + most)]);
  }
  return found;
}

/**
 * Cuts an axis where the site index passes from one block to the next. Indices do not decrease along an axis.
 */
export function runs(axis: Axis, sites: number, blocks: BlockOptions): Run[] {
  const { index } = axis;
  const clamped = (i: number) => Math.min(sites - 1, Math.max(0, index[i]!));
  const origin = blocks.fitted ? clamped(0) : 0;
  const found: Run[] = [];
  let from = 0;
  while (from < index.length) {
    const block = Math.floor((clamped(from) - origin) / blocks.size);
    const end = origin + (block + 1) * blocks.size;
    let to = from + 1;
    while (to < index.length && clamped(to) < end) to++;
    const first = blocks.fitted ? clamped(from) : block * blocks.size;
    const last = blocks.fitted ? clamped(to - 1) + 1 : end;
    found.push({ from, to, first, last: Math.min(sites - 1, last) });
    from = to;
  }
  return found;
}

export function windowOf(rows: Run, columns: Run): Rect {
  return {
    top: rows.first,
    left: columns.first,
    height: rows.last - rows.first + 1,
    width: columns.last - columns.first + 1,
  };
}

export function slice(axis: Axis, from: number, to: number): Axis {
  return {
    index: axis.index.subarray(from, to),
    fraction: axis.fraction.subarray(from, to),
    cell: axis.cell,
  };
}
