// AssemblyScript: what lies between the networks of a chunk: symbols (specification 2.2, 2.3), latents and
// the input of a prior step (3.6). Symbol for symbol the same as src/entropy.
//
// stream   int32: four rANS states, address of the next word, address behind the chunk's last word. Behind
// the words lie 16 bytes, which a truncated chunk
//          may read before it is refused.
// tables   int32: precision, address of `coarse` (src/entropy/cdf-table.ts); then 16 bytes for each table:
// address of its cumulative frequencies (uint16; 0: an
//          empty table), address of the bypass among them, `minimum`, `rawBits`.
//
// No stream leads outside the tables: an index is below the number of tables, and a slot below the last
// cumulative frequency, 2^precision.

/** Bytes before the tables. */
const HEADER: usize = 8;
const COARSE_BITS = 7;

/**
 * Specification 2.2 and 2.3: `count` symbols, a multiple of four, to int16. indices: the table of each,
 * uint8. Symbol i belongs to state i mod 4. Returns 0 if the chunk ends before them. `coarse` gives the place
 * in a table where the search for a slot begins.
 */
export function decodeSymbols(stream: usize, tables: usize, indices: usize, symbols: usize, count: usize): i32 {
  const precision = load<i32>(tables);
  const coarse: usize = load<u32>(tables, 4);
  const mask: u32 = (1 << precision) - 1;
  const coarseShift = precision - COARSE_BITS;
  const firstIsEmpty = load<u32>(tables + HEADER) == 0;
  const beyond: usize = load<u32>(stream, 20);
  const end = indices + count;
  let next: usize = load<u32>(stream, 16);
  for (; indices < end; indices += 4, symbols += 8) {
    if (firstIsEmpty && load<u32>(indices) == 0) {
      store<u64>(symbols, 0);
      continue;
    }
    for (let i: usize = 0; i < 4; i++) {
      const t: usize = load<u8>(indices + i);
      const table = tables + HEADER + (t << 4);
      const first: usize = load<u32>(table);
      let n = 0;
      if (first) {
        let x = load<u32>(stream + (i << 2));
        const slot = x & mask;
        let at = first + (<usize>load<u16>(coarse + (((t << COARSE_BITS) | (slot >> coarseShift)) << 1)) << 1);
        let high: u32 = load<u16>(at, 2);
        while (high <= slot) {
          at += 2;
          high = load<u16>(at, 2);
        }
        const low: u32 = load<u16>(at);
        x = (high - low) * (x >> precision) + slot - low;
        if (x >> 16 == 0) {
          x = (x << 16) | load<u16>(next);
          next += 2;
        }
        n = <i32>((at - first) >> 1) + load<i32>(table, 8);
        const bits = at == <usize>load<u32>(table, 4) ? 16 : load<i32>(table, 12);
        if (bits) {
          n = (n << bits) | <i32>(x & ((1 << bits) - 1));
          x = x >> bits;
          if (x >> 16 == 0) {
            x = (x << 16) | load<u16>(next);
            next += 2;
          }
        }
        store<u32>(stream + (i << 2), x);
      }
      store<i16>(symbols + (i << 1), n);
    }
    if (next > beyond) return 0;
  }
  store<u32>(stream, <u32>next, 16);
  return 1;
}

/**
 * Specification 3.6, step 3: the latents that prior step `step` codes, into y. Returns 0 if the chunk ends
 * before them.
 *
 * mean, deviation, y: (height, width, channels) int16. offsets, steps: the quality's rows of
 * latent.deviationOffset and latent.step, int32. scratch: 3 bytes for each symbol of a row, channels / 4 *
 * width of them: table indices, then symbols. A row at a time: indices, symbols, latents. No product or sum
 * overflows (3.8, `latent` and `deviation`).
 */
export function decodeLatents(
  stream: usize, tables: usize, mean: usize, deviation: usize, y: usize, height: i32, width: i32, channels: i32, step: i32,
  offsets: usize, deviationShift: i32, lastTable: i32, steps: usize, stepBits: i32, limit: i32, scratch: usize,
): i32 {
  const group: usize = <usize>channels >> 2;
  const count = <usize>width * group;
  const symbols = scratch + count;
  const last = i16x8.splat(<i16>lastTable);
  const high = i32x4.splat(limit);
  const low = i32x4.splat(-limit);
  const half = i32x4.splat(1 << (stepBits - 1));
  for (let row = 0; row < height; row++) {
    let to = scratch;
    for (let column = 0; column < width; column++) {
      const c = groupAt(step, row, column) * group;
      let from = deviation + (((<usize>(row * width + column)) * channels + c) << 1);
      let offset = offsets + (c << 2);
      for (const end = to + group; to < end; to += 8, from += 16, offset += 32) {
        const v = v128.load(from);
        const v0 = i32x4.shr_s(i32x4.add(i32x4.extend_low_i16x8_s(v), v128.load(offset)), deviationShift);
        const v1 = i32x4.shr_s(i32x4.add(i32x4.extend_high_i16x8_s(v), v128.load(offset, 16)), deviationShift);
        const t = i16x8.min_s(i16x8.max_s(i16x8.narrow_i32x4_s(v0, v1), i16x8.splat(0)), last);
        v128.store64_lane(to, i8x16.narrow_i16x8_u(t, t), 0);
      }
    }
    if (!decodeSymbols(stream, tables, scratch, symbols, count)) return 0;
    let from = symbols;
    for (let column = 0; column < width; column++) {
      const c = groupAt(step, row, column) * group;
      let at: usize = ((<usize>(row * width + column)) * channels + c) << 1;
      let size = steps + (c << 2);
      for (const end = from + (group << 1); from < end; from += 16, at += 16, size += 32) {
        const n = v128.load(from);
        const m = v128.load(mean + at);
        let v0 = i32x4.mul(i32x4.extend_low_i16x8_s(n), v128.load(size));
        let v1 = i32x4.mul(i32x4.extend_high_i16x8_s(n), v128.load(size, 16));
        v0 = i32x4.add(i32x4.shr_s(i32x4.add(v0, half), stepBits), i32x4.extend_low_i16x8_s(m));
        v1 = i32x4.add(i32x4.shr_s(i32x4.add(v1, half), stepBits), i32x4.extend_high_i16x8_s(m));
        v0 = i32x4.min_s(i32x4.max_s(v0, low), high);
        v1 = i32x4.min_s(i32x4.max_s(v1, low), high);
        v128.store(y + at, i16x8.narrow_i32x4_s(v0, v1));
      }
    }
  }
  return 1;
}

/**
 * The input of a prior step, rows from .. to-1: at each position `hBytes` of h, then the latents that the
 * first `coded` steps have coded, a group of `groupBytes` for each step in their order. With `whole` (and
 * `coded` 1) all latents follow in one group, zeros included.
 */
export function gather(
  h: usize, hRow: usize, hBytes: usize, y: usize, yPixel: usize, groupBytes: usize, coded: i32, whole: i32,
  output: usize, outputRow: usize, width: i32, from: i32, to: i32,
): void {
  for (let row = from; row < to; row++) {
    let source = h + <usize>row * hRow;
    let latents = y + <usize>(row * width) * yPixel;
    let out = output + <usize>row * outputRow;
    for (let column = 0; column < width; column++) {
      copy(source, out, hBytes);
      source += hBytes;
      out += hBytes;
      for (let step = 0; step < coded; step++) {
        copy(latents + (whole ? 0 : groupAt(step, row, column) * groupBytes), out, groupBytes);
        out += groupBytes;
      }
      latents += yPixel;
    }
  }
}

/** The group of channels that a step codes at a position: (parity - step) mod 4 (specification 3.6). */
// @ts-ignore: decorator
@inline
function groupAt(step: i32, row: i32, column: i32): usize {
  return <usize>((2 * (row & 1) + (column & 1) - step) & 3);
}

/** Copies a multiple of 16 bytes. */
// @ts-ignore: decorator
@inline
function copy(from: usize, to: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
}
