// AssemblyScript: derivatives of the decoder's squared error, for encoders (network/gradient.ts).

/**
 * Half the derivative of the squared error by P, for rows from .. to-1 of pixels that lie on sites. features: P; target: what analysis reads of the
 * picture, 3 int16 a pixel. head: as for the kernel `head`, at native scale and 16 bits, of which row and column weights count for nothing. Errors are
 * held within -errorLimit .. errorLimit, the sums of their products rounded off by headShift and held within -headLimit .. headLimit.
 */
export function headGradient(
  features: usize, featureRow: usize, weights: usize, hidden: i32, shift: i32,
  target: usize, targetRow: usize, imageShift: i32, errorLimit: i32, headShift: i32, headLimit: i32,
  output: usize, outputRow: usize, from: i32, to: i32, columns: i32,
): void {
  const bytes = <usize>hidden << 1;
  const cell = weights + 2 * bytes;
  const red = weights + 3 * bytes;
  const green = red + bytes;
  const blue = green + bytes;
  const bias = blue + bytes;
  const zero = i16x8.splat(0);
  const half = i32x4.splat((1 << headShift) >> 1);
  const high = i16x8.splat(<i16>headLimit);
  const low = i16x8.splat(<i16>-headLimit);
  for (let y = from; y < to; y++) {
    let p = features + <usize>y * featureRow;
    let wanted = target + <usize>y * targetRow;
    let out = output + <usize>y * outputRow;
    for (let x = 0; x < columns; x++) {
      let s0 = i32x4.splat(0), s1 = s0, s2 = s0;
      for (let k: usize = 0; k < bytes; k += 16) {
        const h = i16x8.max_s(i16x8.add_sat_s(v128.load(p + k), v128.load(cell + k)), zero);
        s0 = i32x4.add(s0, i32x4.dot_i16x8_s(h, v128.load(red + k)));
        s1 = i32x4.add(s1, i32x4.dot_i16x8_s(h, v128.load(green + k)));
        s2 = i32x4.add(s2, i32x4.dot_i16x8_s(h, v128.load(blue + k)));
      }
      const e0 = i16x8.splat(error(s0, bias, shift, wanted, imageShift, errorLimit));
      const e1 = i16x8.splat(error(s1, bias + 4, shift, wanted + 2, imageShift, errorLimit));
      const e2 = i16x8.splat(error(s2, bias + 8, shift, wanted + 4, imageShift, errorLimit));
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
      wanted += 6;
    }
  }
}

function error(sums: v128, bias: usize, shift: i32, wanted: usize, imageShift: i32, limit: i32): i16 {
  const pairs = i32x4.add(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
  const sum = i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
  const value = min(max((sum + load<i32>(bias)) >> shift, 0), 65280);
  const sample = (value * 257 + 128) >> 8;
  const shown = (2 * sample - 65535 + ((1 << imageShift) >> 1)) >> imageShift;
  return <i16>min(max(shown - <i32>load<i16>(wanted), -limit), limit);
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
