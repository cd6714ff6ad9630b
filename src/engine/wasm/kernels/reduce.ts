// AssemblyScript: the reduction of specification 4.7 for samples of 8 bits. `head` and `spread` fill a grid;
// then, in this order, `joinBlocks` where blocks have more than one pixel, `reduceRows`, `reduceColumns`.
//
// Tensors of a reduction are (rows, channels, columns) of int16, so that neighbors along a row lie next to
// each other. Behind the columns there is room for what the last vectors read and write.

/**
 * Samples that are known already, into `columns` columns of the grid, rows from .. to-1. samples:
 * interleaved, 8 bits, `pitch` bytes a row; up to 32 bytes are read from where the last eight pixels of a row
 * begin. channels: 1 or 3.
 */
export function spread(
  samples: usize, pitch: usize, columns: i32, channels: i32,
  grid: usize, gridRow: usize, gridPlane: usize, from: i32, to: i32,
): void {
  for (let y = from; y < to; y++) {
    let line = samples + <usize>y * pitch;
    let out = grid + <usize>y * gridRow;
    let x = 0;
    for (; x + 8 <= columns; x += 8, out += 16) {
      if (channels == 1) {
        v128.store(out, v128.load8x8_u(line));
        line += 8;
        continue;
      }
      const a = v128.load(line);
      const b = v128.load(line, 8);
      const red = v128.shuffle<i8>(a, b, 0, 3, 6, 9, 12, 15, 26, 29, 0, 0, 0, 0, 0, 0, 0, 0);
      const green = v128.shuffle<i8>(a, b, 1, 4, 7, 10, 13, 24, 27, 30, 0, 0, 0, 0, 0, 0, 0, 0);
      const blue = v128.shuffle<i8>(a, b, 2, 5, 8, 11, 14, 25, 28, 31, 0, 0, 0, 0, 0, 0, 0, 0);
      v128.store(out, i16x8.extend_low_i8x16_u(red));
      v128.store(out + gridPlane, i16x8.extend_low_i8x16_u(green));
      v128.store(out + 2 * gridPlane, i16x8.extend_low_i8x16_u(blue));
      line += 24;
    }
    // One by one: other threads write the columns behind.
    for (; x < columns; x++, out += 2)
      for (let c = 0; c < channels; c++) store<i16>(out + <usize>c * gridPlane, <i16>load<u8>(line++));
  }
}

/**
 * T of 4.7, the means of blocks of `side` rows and `width` columns: rows from .. to-1 of (blocks' rows,
 * channels, `blocks` columns).
 *
 * The grid holds `rows` rows and `columns` columns, those inside the picture. Row i that the reduction reads
 * is row clamp(i + rowShift, 0, rows - 1) of the grid, columns alike: pixels outside have the samples of the
 * nearest inside.
 */
export function joinBlocks(
  grid: usize, gridRow: usize, gridPlane: usize, rows: i32, columns: i32, rowShift: i32, columnShift: i32,
  side: i32, width: i32, channels: i32, blocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, from: i32, to: i32,
): void {
  const pixels = side * width;
  for (let y = from; y < to; y++) {
    for (let c = 0; c < channels; c++) {
      const plane = grid + <usize>c * gridPlane;
      let out = output + <usize>y * outputRow + <usize>c * outputPlane;
      for (let b = 0; b < blocks; b++) {
        let sum = pixels >> 1;
        for (let i = y * side; i < (y + 1) * side; i++) {
          const row = plane + <usize>held(i + rowShift, rows) * gridRow;
          for (let j = b * width; j < (b + 1) * width; j++)
            sum += <i32>load<i16>(row + (<usize>held(j + columnShift, columns) << 1));
        }
        store<i16>(out, <i16>(sum / pixels));
        out += 2;
      }
    }
  }
}

/**
 * H of 4.7, the filter along rows, with 6 fraction bits: rows from .. to-1 of `count` columns (up to three
 * more are written). Row i is made of row clamp(i + rowShift, 0, rows - 1) of the grid.
 *
 * k: 1, 2 or 4. Of the `wanted` columns that the filter reads, the grid has before .. before+inside-1; the
 * first and the last of these are repeated into the others here. Weights sum up to 4096 and their magnitudes
 * to 4864 at most, samples are 8 bits, so H fits int16.
 */
export function reduceRows(
  grid: usize, gridRow: usize, gridPlane: usize, rows: i32, rowShift: i32,
  before: i32, inside: i32, wanted: i32, k: i32, count: i32, channels: i32,
  output: usize, outputRow: usize, outputPlane: usize, from: i32, to: i32,
): void {
  for (let y = from; y < to; y++) {
    for (let c = 0; c < channels; c++) {
      let line = grid + <usize>held(y + rowShift, rows) * gridRow + <usize>c * gridPlane;
      // Threads that share a row fill in the same.
      repeat(line, before, 0, before);
      repeat(line, before + inside - 1, before + inside, wanted);
      let out = output + <usize>y * outputRow + <usize>c * outputPlane;
      const end = out + (<usize>count << 1);
      for (; out < end; out += 8, line += <usize>k << 3) {
        let sum = i32x4.splat(32);
        if (k == 2) {
          // Sums of neighbors begin two values apart, so a pair of weights meets eight values in a row.
          for (let t: usize = 0; t < 16; t += 4)
            sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.load(line + t), v128.load32_splat(WEIGHTS_2 + t)));
        } else if (k == 4) {
          for (let t: usize = 0; t < 32; t += 8) {
            const a = v128.load(line + t);
            const b = v128.load(line + t, 16);
            const even = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
            const odd = v128.shuffle<i32>(a, b, 1, 3, 5, 7);
            sum = i32x4.add(sum, i32x4.dot_i16x8_s(even, v128.load32_splat(WEIGHTS_4 + t)));
            sum = i32x4.add(sum, i32x4.dot_i16x8_s(odd, v128.load32_splat(WEIGHTS_4 + t, 4)));
          }
        } else sum = i32x4.add(sum, i32x4.shl(v128.load16x4_s(line), 12));
        sum = i32x4.shr_s(sum, 6);
        v128.store64_lane(out, i16x8.narrow_i32x4_s(sum, sum), 0);
      }
    }
  }
}

/**
 * The output of 4.7, the filter down columns: rows from .. to-1 of `count` columns (up to seven more are
 * written), interleaved, 8 bits. rows: H, `row` bytes a row, `plane` bytes between its channels. k: 1, 2 or
 * 4.
 */
export function reduceColumns(
  rows: usize, row: usize, plane: usize, k: i32, count: i32, channels: i32,
  output: usize, outputRow: usize, from: i32, to: i32,
): void {
  for (let y = from; y < to; y++) {
    let line = rows + <usize>(y * k) * row;
    let out = output + <usize>y * outputRow;
    const end = line + (<usize>count << 1);
    for (; line < end; line += 16) {
      if (channels == 1) {
        const gray = down(line, row, k);
        v128.store64_lane(out, i8x16.narrow_i16x8_u(gray, gray), 0);
        out += 8;
        continue;
      }
      const rg = i8x16.narrow_i16x8_u(down(line, row, k), down(line + plane, row, k));
      const blue = down(line + 2 * plane, row, k);
      const b = i8x16.narrow_i16x8_u(blue, blue);
      v128.store(out, v128.shuffle<i8>(rg, b, 0, 8, 16, 1, 9, 17, 2, 10, 18, 3, 11, 19, 4, 12, 20, 5));
      v128.store64_lane(out, v128.shuffle<i8>(rg, b, 13, 21, 6, 14, 22, 7, 15, 23, 0, 0, 0, 0, 0, 0, 0, 0), 0, 16);
      out += 24;
    }
  }
}

/** Eight samples of one channel, not yet clamped to 0 .. 255. */
function down(line: usize, row: usize, k: i32): v128 {
  if (k == 1) return i16x8.shr_s(i16x8.add(v128.load(line), i16x8.splat(32)), 6);
  let low = i32x4.splat(1 << 17);
  let high = low;
  let weights = k == 2 ? WEIGHTS_2 : WEIGHTS_4;
  for (const end = weights + (<usize>k << 3); weights < end; weights += 4) {
    const a = v128.load(line);
    const b = v128.load(line + row);
    const w = v128.load32_splat(weights);
    low = i32x4.add(low, i32x4.dot_i16x8_s(v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11), w));
    high = i32x4.add(high, i32x4.dot_i16x8_s(v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), w));
    line += 2 * row;
  }
  return i16x8.narrow_i32x4_s(i32x4.shr_s(low, 18), i32x4.shr_s(high, 18));
}

const WEIGHTS_2 = memory.data<i16>([-48, -144, 464, 1776, 1776, 464, -144, -48]);
const WEIGHTS_4 = memory.data<i16>([-7, -45, -75, -49, 93, 399, 745, 987, 987, 745, 399, 93, -49, -75, -45, -7]);

/** Writes the value at `place` to the places from .. to-1. */
function repeat(line: usize, place: i32, from: i32, to: i32): void {
  const value = load<i16>(line + (<usize>place << 1));
  for (let i = from; i < to; i++) store<i16>(line + (<usize>i << 1), value);
}

// @ts-ignore: decorator
@inline
function held(i: i32, count: i32): i32 {
  return min(max(i, 0), count - 1);
}
