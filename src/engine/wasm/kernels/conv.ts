// AssemblyScript: the layers `conv` and `residual` of specification 3.3, and `conv` next to an `unshuffle` or
// a `shuffle`.

/**
 * A convolution as a product of weights with `taps` runs of contiguous activations, `run` bytes each,
 * `inputTap` bytes apart:
 *
 *   3x3                       3 runs of 3 * C activations; `input` points one row up and one column left
 *   1x1                       1 run of C
 *   unshuffle by k, then 1x1  k runs of k * C
 *
 *   input      (rows, columns, C) int16, zeros beyond the picture included weight     [outputs / 8][taps][run
 *   / 4][2 halves][4 outputs][2 activations] int16: a vector holds the weights of two activations for four
 *   outputs bias       [outputs] int32, with the rounding for `shift` added output     (rows, columns, 8 *
 *   blocks) int16: clamp(sum >> shift, limit), then leaky if asked, then plus `residual` (0: none), clamped
 *   to residualLimit
 *
 * Four pixels by eight outputs at a time: 8 accumulators, 2 vectors of weights and 1 pair of activations,
 * which fits the 16 registers, and each weight that is loaded serves four pixels. Do not unroll the inner
 * loop: V8 then spills. All pixels of a row are made for eight outputs before the next eight, so that their
 * weights stay in the cache.
 *
 * Where width is no multiple of 4, the last four pixels overlap the ones before and are made twice, so
 * `output` must not be `residual`. No sum overflows: see index.ts.
 */
export function conv(
  input: usize, inputRow: usize, inputTap: usize, inputPixel: usize,
  weight: usize, bias: usize, run: usize, taps: i32,
  output: usize, outputRow: usize, outputPixel: usize,
  residual: usize, residualRow: usize, residualPixel: usize,
  width: i32, blocks: i32, shift: i32, limit: i32, leaky: i32, residualLimit: i32, from: i32, to: i32,
): void {
  const high = i16x8.splat(<i16>limit);
  const low = i16x8.splat(<i16>-limit);
  const sumHigh = i16x8.splat(<i16>residualLimit);
  const sumLow = i16x8.splat(<i16>-residualLimit);
  const block: usize = <usize>taps * (run << 3);
  for (let y = from; y < to; y++) {
    const rowIn = input + <usize>y * inputRow;
    const rowOut = output + <usize>y * outputRow;
    const rowResidual = residual + <usize>y * residualRow;
    for (let b = 0; b < blocks; b++) {
      const weights = weight + <usize>b * block;
      const b0 = v128.load(bias + (<usize>b << 5));
      const b1 = v128.load(bias + (<usize>b << 5), 16);
      const column = <usize>b << 4;
      if (width >= 4) {
        let x = 0;
        while (true) {
          let a00 = b0, a01 = b1, a10 = b0, a11 = b1, a20 = b0, a21 = b1, a30 = b0, a31 = b1;
          let w = weights;
          let start = rowIn + <usize>x * inputPixel;
          for (let t = 0; t < taps; t++) {
            let p0 = start;
            let p1 = p0 + inputPixel;
            let p2 = p1 + inputPixel;
            let p3 = p2 + inputPixel;
            const end = p0 + run;
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
            start += inputTap;
          }
          const out = rowOut + <usize>x * outputPixel + column;
          let v0 = finish(a00, a01, shift, low, high);
          let v1 = finish(a10, a11, shift, low, high);
          let v2 = finish(a20, a21, shift, low, high);
          let v3 = finish(a30, a31, shift, low, high);
          if (leaky) {
            v0 = leak(v0);
            v1 = leak(v1);
            v2 = leak(v2);
            v3 = leak(v3);
          }
          if (residual) {
            const r = rowResidual + <usize>x * residualPixel + column;
            v0 = add(v0, r, sumLow, sumHigh);
            v1 = add(v1, r + residualPixel, sumLow, sumHigh);
            v2 = add(v2, r + 2 * residualPixel, sumLow, sumHigh);
            v3 = add(v3, r + 3 * residualPixel, sumLow, sumHigh);
          }
          v128.store(out, v0);
          v128.store(out + outputPixel, v1);
          v128.store(out + 2 * outputPixel, v2);
          v128.store(out + 3 * outputPixel, v3);
          x += 4;
          if (x >= width) break;
          if (x > width - 4) x = width - 4;
        }
      } else {
        for (let x = 0; x < width; x++) {
          let a0 = b0, a1 = b1;
          let w = weights;
          let start = rowIn + <usize>x * inputPixel;
          for (let t = 0; t < taps; t++) {
            let p = start;
            const end = p + run;
            do {
              const s = v128.load32_splat(p);
              a0 = i32x4.add(a0, i32x4.dot_i16x8_s(s, v128.load(w)));
              a1 = i32x4.add(a1, i32x4.dot_i16x8_s(s, v128.load(w, 16)));
              w += 32;
              p += 4;
            } while (p < end);
            start += inputTap;
          }
          let v = finish(a0, a1, shift, low, high);
          if (leaky) v = leak(v);
          if (residual) v = add(v, rowResidual + <usize>x * residualPixel + column, sumLow, sumHigh);
          v128.store(rowOut + <usize>x * outputPixel + column, v);
        }
      }
    }
  }
}

/**
 * clamp(acc >> shift, limit) of eight sums. Narrowing saturates at int16, which changes nothing: limits are
 * at most 32767.
 */
// @ts-ignore: decorator
@inline
export function finish(a0: v128, a1: v128, shift: i32, low: v128, high: v128): v128 {
  const v = i16x8.narrow_i32x4_s(i32x4.shr_s(a0, shift), i32x4.shr_s(a1, shift));
  return i16x8.min_s(i16x8.max_s(v, low), high);
}

/** leaky(v) of specification 3.1: max(v, v >> 3). */
// @ts-ignore: decorator
@inline
export function leak(value: v128): v128 {
  return i16x8.max_s(value, i16x8.shr_s(value, 3));
}

/** clamp(v + residual): the end of a residual. */
// @ts-ignore: decorator
@inline
export function add(value: v128, residual: usize, low: v128, high: v128): v128 {
  return i16x8.min_s(i16x8.max_s(i16x8.add_sat_s(value, v128.load(residual)), low), high);
}
