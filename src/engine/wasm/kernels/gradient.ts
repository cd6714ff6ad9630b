// AssemblyScript: derivatives of an error of the decoder's pixels, for encoders (network/gradient.ts).

/**
 * Half the derivative of an error by P, for rows from .. to-1 of pixels that lie on sites. features: P; errors: half the derivative by samples, 3 int16
 * a pixel. weights: as for the kernel `head` at native scale, of which cell and output weights count. Errors are held within -errorLimit ..
 * errorLimit, the sums of their products rounded off by headShift and held within -headLimit .. headLimit.
 */
export function headGradient(
  features: usize, featureRow: usize, weights: usize, hidden: i32,
  errors: usize, errorRow: usize, errorLimit: i32, headShift: i32, headLimit: i32,
  output: usize, outputRow: usize, from: i32, to: i32, columns: i32,
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

function error(address: usize, limit: i32): v128 {
  return i16x8.splat(<i16>min(max(<i32>load<i16>(address), -limit), limit));
}

/** Times the slope of the activation that made `activations`: an eighth where these are not above zero. In place, rows from .. to-1 of `bytes` each. */
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
