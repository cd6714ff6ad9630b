// AssemblyScript: int16 SIMD kernels of the wasm engine (specification 3.3, 4.4, 4.5).
// Tensors are (rows, columns, channels) int16. All arguments that end in Row, Tap or Pixel are distances in bytes.
// `npm run build:wasm` compiles this file twice: kernels-shared.wasm (threads over one memory) and kernels.wasm. What only encoders use,
// gradient.ts, goes into files of its own, which pages need not fetch.

import { alignedRow } from './aligned';

export { decodeLatents, decodeSymbols, gather } from './chunk';
export { conv } from './conv';
export { joinBlocks, reduceColumns, reduceRows, spread } from './reduce';
export { useScratch, winograd } from './winograd';

/** clamp(in + row[c], limit) over rows from .. to-1; row: int32. */
export function addRow(
  input: usize, inputRow: usize, output: usize, outputRow: usize,
  row: usize, from: i32, to: i32, width: i32, channels: i32, limit: i32,
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
      // The three colors, before an unshuffle.
      for (let c = eights; c < channels; c++) {
        const v: i32 = load<i16>(source) + load<i32>(row + (<usize>c << 2));
        store<i16>(target, min(max(v, -limit), limit));
        source += 2;
        target += 2;
      }
    }
  }
}

/** Zeros `rows` runs of `bytes` each, `pitch` bytes apart. */
export function clear(start: usize, bytes: usize, rows: i32, pitch: usize): void {
  for (let i = 0; i < rows; i++) memory.fill(start + <usize>i * pitch, 0, bytes);
}

/**
 * The head, spec 4.3 to 4.5, for output rows from .. to-1 of a query.
 *
 * features: P over a window whose first site is (top, left), of a level of levelHeight x levelWidth sites; sitePixel = hidden * 2 bytes.
 * axes: index int32 and fraction int16 for each row and column. terms: scratch of (2 + 2 * columns) * hidden int16.
 * head: rowWeight, columnWeight, cell (int16, hidden each), then outputWeight (3 * hidden int16), then outputBias (3 int32, rounding for
 * `shift` added). output: outputRow bytes a row; by `form` 0: RGB of 8 bits, 1: RGB of 16 bits, 2: for a reduction, 8 bits as int16, the colors
 * `plane` bytes apart, 3: the same, gray (4.6).
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
  // The usual grid: a pixel for each site, in a row.
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

/** sat16((weight[k] * r + 2^13) >> 14), for r of -2^14 .. 2^14-1. */
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
