// AssemblyScript: how an error of the decoder's pixels depends on P and on activations, for encoders.
// src/network/gradient.ts explains the method; convolutions on the way back run in the kernel `conv`.

/**
 * Half the derivative of an error by P, rows from .. to-1 of pixels that lie on sites (native scale):
 *
 *   output[k] = P[k] + cell[k] > 0 ? clamp(round(sum over colors of error * outputWeight[k], headShift),
 *   headLimit) : 0
 *
 * features: P, (rows, columns, hidden) int16. errors: half the derivative by samples, (rows, columns, 3)
 * int16, clamped to errorLimit here. weights: as for the kernel `head`; cell and output weights are read.
 * With ERROR_LIMIT of network/gradient.ts three products fit int32.
 */
export function headGradient(
  features: usize, featureRow: usize, weights: usize, hidden: i32,
  errors: usize, errorRow: usize, errorLimit: i32, headShift: i32, headLimit: i32,
  output: usize, outputRow: usize, columns: i32, from: i32, to: i32,
): void {
  const bytes = <usize>hidden << 1;
  const cell = weights + 2 * bytes;
  const red = weights + 3 * bytes;
  const green = red + bytes;
  const blue = green + bytes;
  const zero = i16x8.splat(0);
  const half = i32x4.splat((1 << headShift) >> 1);
  const high = i16x8.splat(<i16>headLimit);
  const low = i16x8.splat(<i16>-headLimit);
  for (let y = from; y < to; y++) {
    let p = features + <usize>y * featureRow;
    let off = errors + <usize>y * errorRow;
    let out = output + <usize>y * outputRow;
    for (let x = 0; x < columns; x++) {
      const e0 = error(off, errorLimit);
      const e1 = error(off + 2, errorLimit);
      const e2 = error(off + 4, errorLimit);
      for (let k: usize = 0; k < bytes; k += 16) {
        const r = v128.load(red + k), g = v128.load(green + k), b = v128.load(blue + k);
        const l = i32x4.add(
          i32x4.add(i32x4.extmul_low_i16x8_s(e0, r), i32x4.extmul_low_i16x8_s(e1, g)),
          i32x4.add(i32x4.extmul_low_i16x8_s(e2, b), half),
        );
        const h = i32x4.add(
          i32x4.add(i32x4.extmul_high_i16x8_s(e0, r), i32x4.extmul_high_i16x8_s(e1, g)),
          i32x4.add(i32x4.extmul_high_i16x8_s(e2, b), half),
        );
        const sum = i16x8.narrow_i32x4_s(i32x4.shr_s(l, headShift), i32x4.shr_s(h, headShift));
        const active = i16x8.gt_s(i16x8.add_sat_s(v128.load(p + k), v128.load(cell + k)), zero);
        v128.store(out + k, v128.and(i16x8.min_s(i16x8.max_s(sum, low), high), active));
      }
      p += bytes;
      out += bytes;
      off += 6;
    }
  }
}

/** An error, clamped, in all lanes. */
function error(address: usize, limit: i32): v128 {
  return i16x8.splat(<i16>min(max(<i32>load<i16>(address), -limit), limit));
}

/**
 * Multiplies `values` by the slope of the leaky activation that made `activations`: 1 where these are above
 * 0, else 1/8, rounded down. In place, rows from .. to-1 of `bytes` each.
 */
export function slope(
  values: usize, row: usize, activations: usize, activationRow: usize, bytes: usize, from: i32, to: i32,
): void {
  const zero = i16x8.splat(0);
  for (let y = from; y < to; y++) {
    const v = values + <usize>y * row;
    const a = activations + <usize>y * activationRow;
    for (let k: usize = 0; k < bytes; k += 16) {
      const value = v128.load(v + k);
      const positive = i16x8.gt_s(v128.load(a + k), zero);
      v128.store(v + k, v128.bitselect(value, i16x8.shr_s(value, 3), positive));
    }
  }
}
