// AssemblyScript: the head (specification 4.3 to 4.5) at native scale, where each pixel lies on a site.
// Fractions are 0, so one site of the local ensemble has all the weight, and the term of the column is 0.

/**
 * One row of `columns` (at least 4) pixels, on the sites from address `sites` on, of `bytes` each. row:
 * rowTerm of 4.4. The other arguments are those of `head`, without form 1.
 *
 * Four pixels at a time: their 3 sums of four lanes each are 12 vectors, so two pixels are summed up and
 * folded before the other two, which fits the 16 registers. Where `columns` is no multiple of 4, the last
 * four pixels overlap the ones before.
 */
export function alignedRow(
  sites: usize, row: usize, weights: usize, biases: usize, bytes: usize,
  shift: i32, form: i32, plane: usize, output: usize, columns: i32,
): void {
  const bias0 = v128.load32_splat(biases);
  const bias1 = v128.load32_splat(biases, 4);
  const bias2 = v128.load32_splat(biases, 8);
  const end = row + bytes;
  const pixel: usize = form == 0 ? 3 : 2;
  for (let x = 0; x < columns; x += 4) {
    if (x > columns - 4) x = columns - 4;
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, b0 = a0, b1 = a0, b2 = a0;
    // Folded sums of the first two pixels.
    let s0 = a0, s1 = a0, s2 = a0;
    let p = sites + <usize>x * bytes;
    for (let two = 0; ; two++) {
      a0 = i32x4.splat(0), a1 = a0, a2 = a0, b0 = a0, b1 = a0, b2 = a0;
      let w = weights;
      for (let r = row; r < end; r += 16) {
        const term = v128.load(r);
        const zero = i16x8.splat(0);
        const g = i16x8.max_s(i16x8.add_sat_s(v128.load(p), term), zero);
        const h = i16x8.max_s(i16x8.add_sat_s(v128.load(p + bytes), term), zero);
        let v = v128.load(w);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(g, v));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(h, v));
        v = v128.load(w + bytes);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(g, v));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(h, v));
        v = v128.load(w + 2 * bytes);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(g, v));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(h, v));
        w += 16;
        p += 16;
      }
      if (two) break;
      s0 = halves(a0, b0);
      s1 = halves(a1, b1);
      s2 = halves(a2, b2);
      p += bytes;
    }
    const red = i32x4.shr_s(i32x4.add(sums(s0, halves(a0, b0)), bias0), shift);
    const green = i32x4.shr_s(i32x4.add(sums(s1, halves(a1, b1)), bias1), shift);
    const blue = i32x4.shr_s(i32x4.add(sums(s2, halves(a2, b2)), bias2), shift);
    // R R R R G G G G B B B B, clamped to 0 .. 255.
    const bytesOf = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(red, green), i16x8.narrow_i32x4_s(blue, blue));
    const out = output + <usize>x * pixel;
    if (form == 0) {
      const rgb = v128.shuffle<i8>(bytesOf, bytesOf, 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 12, 12, 12);
      v128.store64_lane(out, rgb, 0);
      v128.store32_lane(out, rgb, 2, 8);
    } else {
      const rg = i16x8.extend_low_i8x16_u(bytesOf);
      const b = i16x8.extend_high_i8x16_u(bytesOf);
      if (form == 2) {
        v128.store64_lane(out, rg, 0);
        v128.store64_lane(out + plane, rg, 1);
        v128.store64_lane(out + 2 * plane, b, 0);
      } else {
        const g = v128.shuffle<i64>(rg, rg, 1, 1);
        const sum = i16x8.add(i16x8.add(rg, b), i16x8.add(i16x8.add(g, g), i16x8.splat(2)));
        v128.store64_lane(out, i16x8.shr_u(sum, 2), 0);
      }
    }
  }
}

/** a0 + a2, b0 + b2, a1 + a3, b1 + b3: the first half of the sums over the lanes of a and of b. */
// @ts-ignore: decorator
@inline
function halves(a: v128, b: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
}

/** The sums of the lanes of four vectors, which `halves` has folded into two. */
// @ts-ignore: decorator
@inline
function sums(a: v128, b: v128): v128 {
  return i32x4.add(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
}
