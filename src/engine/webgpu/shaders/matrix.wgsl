// Convolutions (specification 3.3) by matrices of signed bytes, which a subgroup multiplies together. As in
// convolution.wgsl, a workgroup makes 128 sites of 32 outputs.
//
// An int16 is two signed bytes: an input x = 256 xh + xl + 128, a weight w = 256 wh + wl. So
//
//   x * w = 65536 xh wh + 256 (xh wl + xl wh) + xl wl + 128 w
//
// The kernel keeps three sums, of the high, the middle and the low products, and joins them at the end. 128 w
// does not depend on the input: it is part of the bias (matrix/pack.ts). Each sum fits int32: it has at most
// 2 * 9 * 4096 products, of at most 2^14. Shifted and added up they may wrap around on the way; the result
// fits (3.8), so it is right modulo 2^32.
//
// A subgroup of SUBGROUP invocations makes 2 x 2 results of M sites x N outputs, K channels at a time
// (matrix-subgroup.wgsl): each matrix that is loaded serves four products. The file that follows this one,
// matrix1x1.wgsl or matrix3x3.wgsl with its taps, says which sites those are:
//   SITES, TAPS, SITE_QUADS   sites that are read, taps of a site, quads of a tap that belong to one site
//   input_site, first_read, further, position

const SUBGROUPS = 1024u / (M * N);
const THREADS = SUBGROUPS * SUBGROUP;
// Subgroups side by side, with the same outputs and other sites.
const ACROSS = 64u / M;
const RIGHT_BYTES = N * K;
// A tap has 32 channels, 8 quads. A quad of channels is two words of the input, and a word here for its high
// and one for its low bytes.
const STEPS = 32u / K;
const QUADS = 8u;
// Words of a site: more than the 8 that it takes, so that sites lie in different banks.
const SITE_WORDS = 12u;
const SITE_BYTES = 4u * SITE_WORDS;

// The high bytes of a slice, then the low ones; at the end the three sums of one result of each subgroup.
const LOW = SITES * SITE_WORDS;
const PART = M * N;
var<workgroup> memory: array<i32, max(2u * LOW, SUBGROUPS * 3u * PART)>;

// [outputs / 32][slice][tap][32 / K steps][32 / N][high, low][N outputs][K channels], a byte each.
@group(0) @binding(2) var<storage, read> weights: array<i32>;

// Number of this invocation in its subgroup.
var<private> lane: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let layer = layers[workgroup.z / blocks()];
  let block = workgroup.z % blocks();
  let subgroup = local / SUBGROUP;
  lane = local % SUBGROUP;
  let site0 = (subgroup % ACROSS) * 2u * M;
  let site1 = site0 + M;
  let output0 = (subgroup / ACROSS) * 2u * N;
  let output1 = output0 + N;

  // Digits: which M sites, which N outputs.
  var high00: Result;
  var high01: Result;
  var high10: Result;
  var high11: Result;
  var middle00: Result;
  var middle01: Result;
  var middle10: Result;
  var middle11: Result;
  var low00: Result;
  var low01: Result;
  var low10: Result;
  var low11: Result;

  let slices = (layer.input_pairs + 2u * QUADS - 1u) / (2u * QUADS);
  for (var slice = 0u; slice < slices; slice++) {
    workgroupBarrier();
    for (var i = local; i < SITES * QUADS; i += THREADS) {
      let read = i / QUADS;
      let quad = i % QUADS;
      let pair = 2u * (slice * QUADS + quad % SITE_QUADS);
      let site = input_site(layer, workgroup, read + quad / SITE_QUADS);
      var words = vec2<u32>();
      if (site >= 0 && pair < layer.input_pairs) {
        let at = layer.input_base + u32(site) * layer.input_pairs + pair;
        words = vec2<u32>(input[at], input[at + 1u]);
      }
      memory[read * SITE_WORDS + quad] = high_bytes(words);
      memory[LOW + read * SITE_WORDS + quad] = low_bytes(words);
    }
    workgroupBarrier();
    for (var tap = 0u; tap < TAPS; tap++) {
      for (var step = 0u; step < STEPS; step++) {
        let weight = ((((block * slices + slice) * TAPS + tap) * STEPS + step) * OUTPUTS + output0) * 2u * K;
        let to_high0 = right(weight);
        let to_low0 = right(weight + RIGHT_BYTES);
        let to_high1 = right(weight + 2u * RIGHT_BYTES);
        let to_low1 = right(weight + 3u * RIGHT_BYTES);
        let first = (first_read(site0) + further(tap)) * SITE_BYTES + step * K;
        let second = (first_read(site1) + further(tap)) * SITE_BYTES + step * K;

        let from_high0 = left(first);
        high00 = multiply_add(from_high0, to_high0, high00);
        high01 = multiply_add(from_high0, to_high1, high01);
        middle00 = multiply_add(from_high0, to_low0, middle00);
        middle01 = multiply_add(from_high0, to_low1, middle01);
        let from_high1 = left(second);
        high10 = multiply_add(from_high1, to_high0, high10);
        high11 = multiply_add(from_high1, to_high1, high11);
        middle10 = multiply_add(from_high1, to_low0, middle10);
        middle11 = multiply_add(from_high1, to_low1, middle11);
        let from_low0 = left(4u * LOW + first);
        middle00 = multiply_add(from_low0, to_high0, middle00);
        middle01 = multiply_add(from_low0, to_high1, middle01);
        low00 = multiply_add(from_low0, to_low0, low00);
        low01 = multiply_add(from_low0, to_low1, low01);
        let from_low1 = left(4u * LOW + second);
        middle10 = multiply_add(from_low1, to_high0, middle10);
        middle11 = multiply_add(from_low1, to_high1, middle11);
        low10 = multiply_add(from_low1, to_low0, low10);
        low11 = multiply_add(from_low1, to_low1, low11);
      }
    }
  }

  let parts = subgroup * 3u * PART;
  store_parts(parts, high00, middle00, low00);
  add_parts(layer, workgroup, parts, site0, block * OUTPUTS + output0);
  store_parts(parts, high01, middle01, low01);
  add_parts(layer, workgroup, parts, site0, block * OUTPUTS + output1);
  store_parts(parts, high10, middle10, low10);
  add_parts(layer, workgroup, parts, site1, block * OUTPUTS + output0);
  store_parts(parts, high11, middle11, low11);
  add_parts(layer, workgroup, parts, site1, block * OUTPUTS + output1);
}

// High bytes of a quad.
fn high_bytes(words: vec2<u32>) -> i32 {
  let first = ((words.x >> 8u) & 0xffu) | ((words.x >> 16u) & 0xff00u);
  let second = ((words.y << 8u) & 0xff0000u) | (words.y & 0xff000000u);
  return bitcast<i32>(first | second);
}

// Its low bytes, less 128: signed.
fn low_bytes(words: vec2<u32>) -> i32 {
  let first = (words.x & 0xffu) | ((words.x >> 8u) & 0xff00u);
  let second = ((words.y << 16u) & 0xff0000u) | ((words.y << 8u) & 0xff000000u);
  return bitcast<i32>((first | second) ^ 0x80808080u);
}

// Joins the three sums of a result, from word `at` on, and writes its outputs: N from first_output on, of M
// sites from first_site on.
fn add_parts(layer: Layer, workgroup: vec3<u32>, at: u32, first_site: u32, first_output: u32) {
  for (var i = 4u * lane; i < PART; i += 4u * SUBGROUP) {
    let made = first_output + i % N;
    let sum = (four(at + i) << vec4<u32>(16u)) + (four(at + PART + i) << vec4<u32>(8u)) + four(at + 2u * PART + i);
    let place = position(layer, workgroup, first_site + i / N);
    store(layer, first_bias(layer, made) + sum, place.x, place.y, made);
  }
}

fn four(at: u32) -> vec4<i32> {
  return vec4<i32>(memory[at], memory[at + 1u], memory[at + 2u], memory[at + 3u]);
}
