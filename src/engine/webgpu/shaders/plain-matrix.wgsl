// For benchmarks: products of matrices on registers, and nothing else, for the most that matrices reach on
// the device. Each of four subgroups keeps eight sums.

const SUBGROUPS = 4u;
const SITE_BYTES = 32u;
const PART = M * N;

@group(0) @binding(0) var<storage, read_write> result: array<i32>;

override rounds: u32 = 1u;

var<workgroup> memory: array<i32, SUBGROUPS * 3u * PART>;
var<workgroup> weights: array<i32, N * K>;
var<private> lane: u32;

@compute @workgroup_size(SUBGROUPS * SUBGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  lane = local % SUBGROUP;
  for (var i = local; i < 2u * M * SITE_BYTES / 4u; i += SUBGROUPS * SUBGROUP) {
    memory[i] = i32(id.x + 0x01020304u * i);
  }
  for (var i = local; i < N * K; i += SUBGROUPS * SUBGROUP) {
    weights[i] = i32(id.x + 0x04030201u * i);
  }
  workgroupBarrier();
  let a0 = left(0u);
  let a1 = left(M * SITE_BYTES);
  let b0 = right(0u);
  let b1 = right(N * K);
  let b2 = right(2u * N * K);
  let b3 = right(3u * N * K);
  var sum00: Result;
  var sum01: Result;
  var sum02: Result;
  var sum03: Result;
  var sum10: Result;
  var sum11: Result;
  var sum12: Result;
  var sum13: Result;
  for (var i = 0u; i < rounds; i++) {
    sum00 = multiply_add(a0, b0, sum00);
    sum01 = multiply_add(a0, b1, sum01);
    sum02 = multiply_add(a0, b2, sum02);
    sum03 = multiply_add(a0, b3, sum03);
    sum10 = multiply_add(a1, b0, sum10);
    sum11 = multiply_add(a1, b1, sum11);
    sum12 = multiply_add(a1, b2, sum12);
    sum13 = multiply_add(a1, b3, sum13);
  }
  // Nobody reads the result, but a compiler cannot know, so it keeps the products.
  let at = (local / SUBGROUP) * 3u * PART;
  store_parts(at, sum00, sum01, sum02);
  let first = memory[at + lane];
  store_parts(at, sum03, sum10, sum11);
  let second = memory[at + lane];
  store_parts(at, sum12, sum13, sum13);
  if (first == 12345 && second == 54321) {
    result[0] = memory[at + lane] + memory[at + PART + lane];
  }
}
