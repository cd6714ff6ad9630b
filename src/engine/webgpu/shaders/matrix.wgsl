// Convolutions by matrices of signed bytes, which a subgroup multiplies together. An int16 is two of them: an input 256 h + 128 + l, a weight
// 256 h + l. So a product is 65536 hh + 256 (hl + lh) + ll + 128 w, and what does not depend on the input stands in the bias already.
// A subgroup of SUBGROUP invocations makes 2 x 2 results of M sites and N outputs, from K channels at a time: matrix-subgroup.wgsl. What the sites and taps
// are is a matter of the files after this one.

const SUBGROUPS = 1024u / (M * N);
const THREADS = SUBGROUPS * SUBGROUP;
// Subgroups that make the same outputs of other sites.
const ACROSS = 64u / M;
const RIGHT_BYTES = N * K;
// A tap has 32 channels: quads of them, each two pairs of the input and a word here.
const STEPS = 32u / K;
const QUADS = 8u;
// More than they take, so that sites lie in different banks.
const SITE_WORDS = 12u;
const SITE_BYTES = 4u * SITE_WORDS;

// The high bytes of a slice, then the low ones; in the end the parts of a result of each subgroup.
const LOW = SITES * SITE_WORDS;
const PART = M * N;
var<workgroup> memory: array<i32, max(2u * LOW, SUBGROUPS * 3u * PART)>;

// [32 outputs][slice][tap][step of K channels][N outputs][high, low]: matrices, the channels of an output together.
@group(0) @binding(2) var<storage, read> weights: array<i32>;

// Which invocation of its subgroup this is.
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

  // Sites, then outputs.
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

// Of four channels of a site.
fn high_bytes(words: vec2<u32>) -> i32 {
  let first = ((words.x >> 8u) & 0xffu) | ((words.x >> 16u) & 0xff00u);
  let second = ((words.y << 8u) & 0xff0000u) | (words.y & 0xff000000u);
  return bitcast<i32>(first | second);
}

fn low_bytes(words: vec2<u32>) -> i32 {
  let first = (words.x & 0xffu) | ((words.x >> 8u) & 0xff00u);
  let second = ((words.y << 16u) & 0xff0000u) | ((words.y << 8u) & 0xff000000u);
  // Less 128.
  return bitcast<i32>((first | second) ^ 0x80808080u);
}

// Adds up the parts of a result, which lie from this word on, and writes the outputs of M sites from this one on.
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
