// AssemblyScript: the SIMD kernels of the wasm engine. `src/engine/wasm/program/operations.ts` and the
// `*-job.ts` beside it plan their calls.
//
//   conv.ts      3x3 and 1x1 convolutions, with shuffles                  specification 3.3
//   winograd.ts  3x3 convolutions by fewer products                       3.3
//   this file    rows (3.3); the head                                     4.3 to 4.5
//   aligned.ts   the head where pixels lie on sites                       4.3 to 4.5
//   reduce.ts    reductions                                               4.7
//   chunk.ts     symbols, latents, inputs of the prior                    2.2, 2.3, 3.6
//   gradient.ts  derivatives, for encoders                                not of the specification
//
// Tensors are (rows, columns, channels) of int16: element (y, x, c) lies (y * width + x) * channels + c
// elements behind the first. Channels are a multiple of 8, 16 bytes, unless a kernel says otherwise.
// Arguments whose names end in Row, Tap, Pixel or Plane are distances in bytes; `from` and `to`, the last two
// of kernels that threads can share, are the rows that a call makes.
//
// Sums are int32. A loader has proved that none of a network or of the head can overflow (specification 3.8),
// so the order of additions does not matter, and i32x4.dot_i16x8_s, two products and their sum, is exact.
// Saturating operations on int16 are the sat16 and the clamps of the specification.
//
// `npm run build:wasm` compiles this file twice: kernels-shared.wasm for threads over one memory,
// kernels.wasm for one thread. gradient.ts becomes files of its own, which pages, where nothing is encoded,
// need not fetch.

import { alignedRow } from './aligned';

export { decodeLatents, decodeSymbols, gather } from './chunk';
export { conv } from './conv';
export { joinBlocks, reduceColumns, reduceRows, spread } from './reduce';
export { useScratch, winograd } from './winograd';

/**
 * The layer `row` of specification 3.3: clamp(in + row[c], limit). row: int32 (channels). channels: any
 * number, since a row may come before the first unshuffle, where channels are the three colors.
 */
export function addRow(
  input: usize, inputRow: usize, output: usize, outputRow: usize,
  row: usize, width: i32, channels: i32, limit: i32, from: i32, to: i32,
): void {
  const high = i32x4.splat(limit);
  const low = i32x4.splat(-limit);
  const eights = channels & ~7;
  for (let y = from; y < to; y++) {
    let source = input + <usize>y * inputRow;
    let target = output + <usize>y * outputRow;
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < eights; c += 8) {
        const v = v128.load(source);
        const r = row + (<usize>c << 2);
        const v0 = i32x4.min_s(i32x4.max_s(i32x4.add(i32x4.extend_low_i16x8_s(v), v128.load(r)), low), high);
        const v1 = i32x4.min_s(i32x4.max_s(i32x4.add(i32x4.extend_high_i16x8_s(v), v128.load(r, 16)), low), high);
        v128.store(target, i16x8.narrow_i32x4_s(v0, v1));
        source += 16;
        target += 16;
      }
      for (let c = eights; c < channels; c++) {
        const v: i32 = load<i16>(source) + load<i32>(row + (<usize>c << 2));
        store<i16>(target, min(max(v, -limit), limit));
        source += 2;
        target += 2;
      }
    }
  }
}

/**
 * Zeros `bytes` of each row, rows being `pitch` bytes apart: the border of a tensor, so that convolutions
 * read zeros beyond the picture.
 */
export function clear(start: usize, bytes: usize, pitch: usize, from: i32, to: i32): void {
  for (let i = from; i < to; i++) memory.fill(start + <usize>i * pitch, 0, bytes);
}

/**
 * The head, specification 4.3 to 4.5: samples of output rows from .. to-1 of a query, from P.
 *
 *   features   P, (rows, columns, hidden) int16, a window whose first site is (top, left), of a level of
 *   levelHeight x levelWidth sites rowIndex, rowFraction, columnIndex, columnFraction
 *              positions of output rows and columns: site index int32, not yet clamped, and fraction int16 in Q14
 *   weights    rowWeight, columnWeight, cell term c of 4.4 (int16, `hidden` each); outputWeight (int16, 3 *
 *   hidden); outputBias (3 int32, with the
 *              rounding for `shift` added): see pack-head.ts
 *   terms      scratch: (2 + 2 * columns) * hidden int16 output     rows of outputRow bytes. `form` 0: RGB,
 *   uint8. 1: RGB, uint16. 2, for a reduction: samples of 8 bits as int16, the colors `plane` bytes
 *              apart. 3, for a reduction: the gray sample of 4.6 as int16
 *
 * A pixel is made eight hidden units at a time. Terms of columns are computed once a call, terms of rows once
 * a row. Q14: 16384 is 1, 8192 one half. The weights of the local ensemble are below 2^15 and sum up to 2^14,
 * hidden units are 0 .. 32767, so their weighed sum stays below 2^29.
 */
export function head(
  features: usize, featureRow: usize, top: i32, left: i32, levelHeight: i32, levelWidth: i32,
  rowIndex: usize, rowFraction: usize, columnIndex: usize, columnFraction: usize, columns: i32,
  weights: usize, hidden: i32, shift: i32, form: i32, plane: usize,
  terms: usize, output: usize, outputRow: usize, from: i32, to: i32,
): void {
  const bytes = <usize>hidden << 1;
  const rowWeight = weights;
  const columnWeight = weights + bytes;
  const cell = weights + 2 * bytes;
  const outputWeight = weights + 3 * bytes;
  const outputBias = outputWeight + 3 * bytes;
  const bias0 = load<i32>(outputBias);
  const bias1 = load<i32>(outputBias, 4);
  const bias2 = load<i32>(outputBias, 8);
  const rowTerm0 = terms;
  const rowTerm1 = terms + bytes;
  const columnTerms = terms + 2 * bytes;
  // Native scale: a pixel on each site, one after the other.
  const first = load<i32>(columnIndex);
  let aligned = form != 1 && columns >= 4 && first >= 0 && first + columns <= levelWidth;
  for (let j = 0; j < columns; j++)
    if (load<i16>(columnFraction + (<usize>j << 1)) | (load<i32>(columnIndex + (<usize>j << 2)) - first - j)) aligned = false;
  let needed = !aligned;
  for (let i = from; i < to; i++) if (load<i16>(rowFraction + (<usize>i << 1))) needed = true;
  for (let j = 0; needed && j < columns; j++) {
    const f: i32 = load<i16>(columnFraction + (<usize>j << 1));
    const at = columnTerms + (<usize>j << 1) * bytes;
    position(columnWeight, f, at, bytes);
    position(columnWeight, f - 16384, at + bytes, bytes);
  }
  const half = i32x4.splat(8192);
  const zero = i16x8.splat(0);
  for (let i = from; i < to; i++) {
    const fr: i32 = load<i16>(rowFraction + (<usize>i << 1));
    const index = load<i32>(rowIndex + (<usize>i << 2));
    position(rowWeight, fr, rowTerm0, bytes);
    position(rowWeight, fr - 16384, rowTerm1, bytes);
    for (let k: usize = 0; k < bytes; k += 16) {
      const c = v128.load(cell + k);
      v128.store(rowTerm0 + k, i16x8.add_sat_s(v128.load(rowTerm0 + k), c));
      v128.store(rowTerm1 + k, i16x8.add_sat_s(v128.load(rowTerm1 + k), c));
    }
    const row0 = features + <usize>(nearest(index, levelHeight) - top) * featureRow;
    if (aligned && fr == 0) {
      const sites = row0 + <usize>(first - left) * bytes;
      alignedRow(sites, rowTerm0, outputWeight, outputBias, bytes, shift, form, plane, output + <usize>i * outputRow, columns);
      continue;
    }
    const row1 = features + <usize>(nearest(index + 1, levelHeight) - top) * featureRow;
    let out = output + <usize>i * outputRow;
    let columnTerm = columnTerms;
    for (let j = 0; j < columns; j++) {
      const fc: i32 = load<i16>(columnFraction + (<usize>j << 1));
      const at = load<i32>(columnIndex + (<usize>j << 2));
      const offset0 = <usize>(nearest(at, levelWidth) - left) * bytes;
      let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0);
      if ((fr | fc) == 0) {
        for (let k: usize = 0; k < bytes; k += 16) {
          const p = i16x8.add_sat_s(v128.load(row0 + offset0 + k), v128.load(rowTerm0 + k));
          const h = i16x8.max_s(i16x8.add_sat_s(p, v128.load(columnTerm + k)), zero);
          s0 = i32x4.add(s0, i32x4.dot_i16x8_s(h, v128.load(outputWeight + k)));
          s1 = i32x4.add(s1, i32x4.dot_i16x8_s(h, v128.load(outputWeight + bytes + k)));
          s2 = i32x4.add(s2, i32x4.dot_i16x8_s(h, v128.load(outputWeight + 2 * bytes + k)));
        }
      } else {
        const offset1 = <usize>(nearest(at + 1, levelWidth) - left) * bytes;
        const s11 = (fr * fc + 8192) >> 14;
        const s10 = fr - s11;
        const s01 = fc - s11;
        const s00 = 16384 - fr - s01;
        const upper = i32x4.splat((s01 << 16) | s00);
        const lower = i32x4.splat((s11 << 16) | s10);
        const p00 = row0 + offset0, p01 = row0 + offset1, p10 = row1 + offset0, p11 = row1 + offset1;
        for (let k: usize = 0; k < bytes; k += 16) {
          const t0 = v128.load(rowTerm0 + k);
          const t1 = v128.load(rowTerm1 + k);
          const c0 = v128.load(columnTerm + k);
          const c1 = v128.load(columnTerm + bytes + k);
          const h00 = i16x8.max_s(i16x8.add_sat_s(i16x8.add_sat_s(v128.load(p00 + k), t0), c0), zero);
          const h01 = i16x8.max_s(i16x8.add_sat_s(i16x8.add_sat_s(v128.load(p01 + k), t0), c1), zero);
          const h10 = i16x8.max_s(i16x8.add_sat_s(i16x8.add_sat_s(v128.load(p10 + k), t1), c0), zero);
          const h11 = i16x8.max_s(i16x8.add_sat_s(i16x8.add_sat_s(v128.load(p11 + k), t1), c1), zero);
          const low = i32x4.add(
            i32x4.dot_i16x8_s(v128.shuffle<i16>(h00, h01, 0, 8, 1, 9, 2, 10, 3, 11), upper),
            i32x4.dot_i16x8_s(v128.shuffle<i16>(h10, h11, 0, 8, 1, 9, 2, 10, 3, 11), lower),
          );
          const high = i32x4.add(
            i32x4.dot_i16x8_s(v128.shuffle<i16>(h00, h01, 4, 12, 5, 13, 6, 14, 7, 15), upper),
            i32x4.dot_i16x8_s(v128.shuffle<i16>(h10, h11, 4, 12, 5, 13, 6, 14, 7, 15), lower),
          );
          const h = i16x8.narrow_i32x4_s(
            i32x4.shr_s(i32x4.add(low, half), 14),
            i32x4.shr_s(i32x4.add(high, half), 14),
          );
          s0 = i32x4.add(s0, i32x4.dot_i16x8_s(h, v128.load(outputWeight + k)));
          s1 = i32x4.add(s1, i32x4.dot_i16x8_s(h, v128.load(outputWeight + bytes + k)));
          s2 = i32x4.add(s2, i32x4.dot_i16x8_s(h, v128.load(outputWeight + 2 * bytes + k)));
        }
      }
      const red = (sum(s0) + bias0) >> shift;
      const green = (sum(s1) + bias1) >> shift;
      const blue = (sum(s2) + bias2) >> shift;
      if (form == 2) {
        store<i16>(out, within(red, 255));
        store<i16>(out + plane, within(green, 255));
        store<i16>(out + 2 * plane, within(blue, 255));
        out += 2;
      } else if (form == 3) {
        store<i16>(out, (within(red, 255) + 2 * within(green, 255) + within(blue, 255) + 2) >> 2);
        out += 2;
      } else if (form == 1) {
        store<u16>(out, sample16(red));
        store<u16>(out, sample16(green), 2);
        store<u16>(out, sample16(blue), 4);
        out += 6;
      } else {
        store<u8>(out, within(red, 255));
        store<u8>(out, within(green, 255), 1);
        store<u8>(out, within(blue, 255), 2);
        out += 3;
      }
      columnTerm += 2 * bytes;
    }
  }
}

/**
 * sat16((weight[k] * r + 2^13) >> 14) for all k, with r of -2^14 .. 2^14-1: rowTerm before the cell is added,
 * or colTerm (4.4).
 */
function position(weight: usize, r: i32, target: usize, bytes: usize): void {
  const factor = i16x8.splat(<i16>r);
  const half = i32x4.splat(8192);
  for (let k: usize = 0; k < bytes; k += 16) {
    const w = v128.load(weight + k);
    const low = i32x4.shr_s(i32x4.add(i32x4.extmul_low_i16x8_s(w, factor), half), 14);
    const high = i32x4.shr_s(i32x4.add(i32x4.extmul_high_i16x8_s(w, factor), half), 14);
    v128.store(target + k, i16x8.narrow_i32x4_s(low, high));
  }
}

// @ts-ignore: decorator
@inline
function nearest(index: i32, count: i32): i32 {
  return min(max(index, 0), count - 1);
}

// @ts-ignore: decorator
@inline
function sum(v: v128): i32 {
  const pairs = i32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}

// @ts-ignore: decorator
@inline
function within(value: i32, high: i32): i32 {
  return min(max(value, 0), high);
}

// @ts-ignore: decorator
@inline
function sample16(value: i32): i32 {
  return (within(value, 65280) * 257 + 128) >> 8;
}
