// AssemblyScript: 3x3 convolutions by Winograd's method, F(2x2, 3x3) of Lavin and Gray (arXiv 1509.09308): 16
// products instead of 36 for 2 x 2 outputs.
//
//   Y = A' [ (G g G') * (B' d B) ] A      g: filter, 3 x 3; d: tile of activations, 4 x 4; *: element by
//   element; ': transposed
//
// In integers: G has halves, so filters are (2G) g (2G)', and Y comes out times 4. Bias and shift are scaled
// alike: `4 * bias`, `shift + 2`.

import { add, conv, finish, leak } from './conv';

/** Tiles of 2 x 2 outputs in a strip: a multiple of 4. */
const TILES: i32 = 16;
/** Most bytes of an input's channels. */
const MAX_RUN: usize = 1024;

/**
 * This thread's scratch memory, 16 * (TILES * (MAX_RUN + 32) + 64) bytes: 16 matrices of activations, then 16
 * of sums.
 */
let scratch: usize = 0;

export function useScratch(address: usize): void {
  scratch = address;
}

/**
 * What `conv` makes of a 3x3 convolution, to the bit, for pairs of rows from .. to-1 of `height` by `width`
 * outputs, both at least 2. The arguments up to residualLimit are those of `conv`, with `direct` for its
 * weights.
 *
 * weight: the transformed filters, [outputs / 8][16][inputs / 2][2 halves][4 outputs][2 activations] int16
 * (pack-winograd.ts).
 *
 * Why the result is exact:
 *   - Activations are at most 8191, so B' d B, sums of four of them, fits int16.
 *   - Sums of products may wrap around int32. What comes out is 4 times the accumulator of `conv` modulo
 *     2^32, so it is right wherever that accumulator is below 2^29.
 *   - |sum of w * d| <= |w| |d| (Cauchy and Schwarz): the sum of squares of a tile's activations bounds its
 *     accumulators. Where 1/64 of it is above `energyLimit` for any tile of a strip, `conv` makes the strip.
 *     That is rare: noise or stripes of full contrast.
 *
 * Blocking: strips of up to 16 tiles of a pair of rows. A strip is transformed once, into 16 matrices (tiles,
 * inputs), one for each place of a tile; then, for each eight outputs, each matrix is multiplied by the
 * filters of its place, four tiles at a time as in `conv`, and the 16 products are transformed back. The last
 * tiles of a row, and the last pair of an odd height, overlap the ones before.
 */
export function winograd(
  input: usize, inputRow: usize, inputTap: usize, inputPixel: usize,
  direct: usize, bias: usize, directRun: usize, taps: i32,
  output: usize, outputRow: usize, outputPixel: usize,
  residual: usize, residualRow: usize, residualPixel: usize,
  width: i32, blocks: i32, shift: i32, limit: i32, leaky: i32, residualLimit: i32,
  height: i32, weight: usize, energyLimit: i32, from: i32, to: i32,
): void {
  const run = inputPixel;
  const sums = scratch + 16 * (<usize>TILES * MAX_RUN + 64);
  for (let pair = from; pair < to; pair++) {
    const y = <usize>min(2 * pair, height - 2);
    const rowIn = input + y * inputRow;
    const rowOut = output + y * outputRow;
    const rowResidual = residual + y * residualRow;
    for (let left = 0; left < width; left += 2 * TILES) {
      const columns = min(width - left, 2 * TILES);
      const tiles = (columns + 7) >> 3 << 2;
      // 64 more, since a multiple of 4096 would put all 16 matrices into the same lines of the cache.
      const pitch = <usize>tiles * run + 64;
      let most: i64 = 0;
      for (let t = 0; t < tiles; t++) {
        const x = <usize>min(left + 2 * t, width - 2);
        most = max(most, transform(rowIn + x * run, inputRow, run, scratch + <usize>t * run, pitch));
      }
      if (most > <i64>energyLimit) {
        const x = <usize>left;
        conv(
          rowIn + x * run, inputRow, inputTap, inputPixel, direct, bias, directRun, taps,
          rowOut + x * outputPixel, outputRow, outputPixel,
          residual ? rowResidual + x * residualPixel : 0, residualRow, residualPixel,
          columns, blocks, shift, limit, leaky, residualLimit, 0, 2,
        );
        continue;
      }
      let w = weight;
      for (let b = 0; b < blocks; b++) {
        let m = sums;
        for (let p = 0; p < 16; p++) {
          let v = scratch + <usize>p * pitch;
          let b0 = i32x4.splat(0), b1 = i32x4.splat(0);
          // Place (1, 1) counts once in each of the four outputs, so the bias goes there.
          if (p == 5) {
            b0 = i32x4.shl(v128.load(bias + (<usize>b << 5)), 2);
            b1 = i32x4.shl(v128.load(bias + (<usize>b << 5), 16), 2);
          }
          for (let t = 0; t < tiles; t += 4) {
            products(v, run, w, m, b0, b1);
            v += run << 2;
            m += 128;
          }
          w += run << 3;
        }
        const column = <usize>b << 4;
        for (let t = 0; t < tiles; t++) {
          const x = <usize>min(left + 2 * t, width - 2);
          outputs(
            sums + (<usize>t << 5), <usize>tiles << 5, shift + 2, limit, leaky, residualLimit,
            residual ? rowResidual + x * residualPixel + column : 0, residualRow, residualPixel,
            rowOut + x * outputPixel + column, outputRow, outputPixel,
          );
        }
      }
    }
  }
}

/**
 * Writes B' d B of the 4 x 4 activations d at `input`, its 16 places `pitch` bytes apart. Returns the sum of
 * squares of d / 64, rounded down in each lane.
 */
// @ts-ignore: decorator
@inline
function transform(input: usize, inputRow: usize, run: usize, target: usize, pitch: usize): i64 {
  let e = i32x4.splat(0);
  for (let c: usize = 0; c < run; c += 16) {
    let p = input + c;
    let to = target + c;
    for (let column = 0; column < 4; column++) {
      const a0 = v128.load(p);
      const a1 = v128.load(p + inputRow);
      const a2 = v128.load(p + 2 * inputRow);
      const a3 = v128.load(p + 3 * inputRow);
      e = energy(energy(energy(energy(e, a0), a1), a2), a3);
      transformFour(to, 4 * pitch, a0, a1, a2, a3);
      p += run;
      to += pitch;
    }
    to = target + c;
    for (let row = 0; row < 4; row++) {
      transformFour(to, pitch, v128.load(to), v128.load(to + pitch), v128.load(to + 2 * pitch), v128.load(to + 3 * pitch));
      to += 4 * pitch;
    }
  }
  return lanes(e);
}

/** The sum of four lanes, which are unsigned. */
// @ts-ignore: decorator
@inline
function lanes(e: v128): i64 {
  return <i64><u32>i32x4.extract_lane(e, 0) + <i64><u32>i32x4.extract_lane(e, 1)
    + <i64><u32>i32x4.extract_lane(e, 2) + <i64><u32>i32x4.extract_lane(e, 3);
}

/**
 * Adds squares / 64. A square is below 2^26, a lane sums up two: with 512 channels at most, a lane's sum for
 * a tile stays below 2^31.
 */
// @ts-ignore: decorator
@inline
function energy(sum: v128, a: v128): v128 {
  return i32x4.add(sum, i32x4.shr_u(i32x4.dot_i16x8_s(a, a), 6));
}

/** B' u of four values. */
// @ts-ignore: decorator
@inline
function transformFour(to: usize, pitch: usize, u0: v128, u1: v128, u2: v128, u3: v128): void {
  v128.store(to, i16x8.sub(u0, u2));
  v128.store(to + pitch, i16x8.add(u1, u2));
  v128.store(to + 2 * pitch, i16x8.sub(u2, u1));
  v128.store(to + 3 * pitch, i16x8.sub(u1, u3));
}

/**
 * One place of four tiles: sums over the channels for eight outputs, [4 tiles][8 outputs] int32. The loop is
 * that of `conv`.
 */
// @ts-ignore: decorator
@inline
function products(v: usize, run: usize, weight: usize, to: usize, b0: v128, b1: v128): void {
  let a00 = b0, a01 = b1, a10 = b0, a11 = b1, a20 = b0, a21 = b1, a30 = b0, a31 = b1;
  let w = weight;
  let p0 = v;
  let p1 = p0 + run;
  let p2 = p1 + run;
  let p3 = p2 + run;
  const end = p1;
  do {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    let s = v128.load32_splat(p0);
    a00 = i32x4.add(a00, i32x4.dot_i16x8_s(s, w0));
    a01 = i32x4.add(a01, i32x4.dot_i16x8_s(s, w1));
    s = v128.load32_splat(p1);
    a10 = i32x4.add(a10, i32x4.dot_i16x8_s(s, w0));
    a11 = i32x4.add(a11, i32x4.dot_i16x8_s(s, w1));
    s = v128.load32_splat(p2);
    a20 = i32x4.add(a20, i32x4.dot_i16x8_s(s, w0));
    a21 = i32x4.add(a21, i32x4.dot_i16x8_s(s, w1));
    s = v128.load32_splat(p3);
    a30 = i32x4.add(a30, i32x4.dot_i16x8_s(s, w0));
    a31 = i32x4.add(a31, i32x4.dot_i16x8_s(s, w1));
    w += 32;
    p0 += 4;
    p1 += 4;
    p2 += 4;
    p3 += 4;
  } while (p0 < end);
  v128.store(to, a00);
  v128.store(to, a01, 16);
  v128.store(to, a10, 32);
  v128.store(to, a11, 48);
  v128.store(to, a20, 64);
  v128.store(to, a21, 80);
  v128.store(to, a30, 96);
  v128.store(to, a31, 112);
}

/**
 * A' m A: 2 x 2 pixels of eight outputs from the sums m of a tile's 16 places, `pitch` bytes apart. Then the
 * end of `conv`: shift, clamp, leaky, residual.
 */
// @ts-ignore: decorator
@inline
function outputs(
  m: usize, pitch: usize, shift: i32, limit: i32, leaky: i32, residualLimit: i32,
  residual: usize, residualRow: usize, residualPixel: usize, output: usize, outputRow: usize, outputPixel: usize,
): void {
  let y00: v128, y01: v128, y10: v128, y11: v128;
  let z00 = i32x4.splat(0), z01 = z00, z10 = z00, z11 = z00;
  for (let half: usize = 0; ; half = 16) {
    y00 = z00; y01 = z01; y10 = z10; y11 = z11;
    const p0 = m + half;
    const p1 = p0 + pitch;
    const p2 = p1 + pitch;
    const p3 = p2 + pitch;
    z00 = i32x4.add(i32x4.add(upper(p0, pitch), upper(p1, pitch)), upper(p2, pitch));
    z01 = i32x4.sub(i32x4.sub(upper(p1, pitch), upper(p2, pitch)), upper(p3, pitch));
    z10 = i32x4.add(i32x4.add(lower(p0, pitch), lower(p1, pitch)), lower(p2, pitch));
    z11 = i32x4.sub(i32x4.sub(lower(p1, pitch), lower(p2, pitch)), lower(p3, pitch));
    if (half) break;
  }
  const high = i16x8.splat(<i16>limit);
  const low = i16x8.splat(<i16>-limit);
  let v0 = finish(y00, z00, shift, low, high);
  let v1 = finish(y01, z01, shift, low, high);
  let v2 = finish(y10, z10, shift, low, high);
  let v3 = finish(y11, z11, shift, low, high);
  if (leaky) {
    v0 = leak(v0);
    v1 = leak(v1);
    v2 = leak(v2);
    v3 = leak(v3);
  }
  if (residual) {
    const sumHigh = i16x8.splat(<i16>residualLimit);
    const sumLow = i16x8.splat(<i16>-residualLimit);
    v0 = add(v0, residual, sumLow, sumHigh);
    v1 = add(v1, residual + residualPixel, sumLow, sumHigh);
    v2 = add(v2, residual + residualRow, sumLow, sumHigh);
    v3 = add(v3, residual + residualRow + residualPixel, sumLow, sumHigh);
  }
  v128.store(output, v0);
  v128.store(output + outputPixel, v1);
  v128.store(output + outputRow, v2);
  v128.store(output + outputRow + outputPixel, v3);
}

/** The first row of A' m, for one column of m. */
// @ts-ignore: decorator
@inline
function upper(m: usize, pitch: usize): v128 {
  return i32x4.add(i32x4.add(v128.load(m), v128.load(m + 4 * pitch)), v128.load(m + 8 * pitch));
}

/** The second row. */
// @ts-ignore: decorator
@inline
function lower(m: usize, pitch: usize): v128 {
  return i32x4.sub(i32x4.sub(v128.load(m + 4 * pitch), v128.load(m + 8 * pitch)), v128.load(m + 12 * pitch));
}
