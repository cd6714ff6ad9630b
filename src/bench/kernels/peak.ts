// AssemblyScript: what a plain dense kernel gets out of one thread. `npm run build:wasm` compiles this file.

/**
 * Matrix product of 4 rows of activations with 8 outputs, int16 into int32, everything in the first-level
 * cache: weights at 0, [pairs][2 halves][4 outputs][2] int16; activations at 4096, [4][pairs][2] int16.
 * `rounds` times; 64 * pairs multiply-adds each. Returns a number that depends on all of them.
 */
export function multiplyAdd(rounds: i32, pairs: i32): i32 {
  const end: usize = (<usize>pairs) << 5;
  const row: usize = (<usize>pairs) << 2;
  let total = i32x4.splat(0);
  for (let i = 0; i < rounds; i++) {
    let a0 = i32x4.splat(i),
      a1 = i32x4.splat(0),
      b0 = i32x4.splat(0),
      b1 = i32x4.splat(0);
    let c0 = i32x4.splat(0),
      c1 = i32x4.splat(0),
      d0 = i32x4.splat(0),
      d1 = i32x4.splat(0);
    let p: usize = 4096,
      q = p + row,
      r = q + row,
      s = r + row;
    for (let w: usize = 0; w != end; w += 32) {
      const w0 = v128.load(w),
        w1 = v128.load(w, 16);
      const x = v128.load32_splat(p);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, w0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, w1));
      const y = v128.load32_splat(q);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(y, w0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(y, w1));
      const z = v128.load32_splat(r);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(z, w0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(z, w1));
      const u = v128.load32_splat(s);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(u, w0));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(u, w1));
      p += 4;
      q += 4;
      r += 4;
      s += 4;
    }
    total = i32x4.add(
      total,
      i32x4.add(
        i32x4.add(i32x4.add(a0, a1), i32x4.add(b0, b1)),
        i32x4.add(i32x4.add(c0, c1), i32x4.add(d0, d1)),
      ),
    );
  }
  return (
    i32x4.extract_lane(total, 0) +
    i32x4.extract_lane(total, 1) +
    i32x4.extract_lane(total, 2) +
    i32x4.extract_lane(total, 3)
  );
}
