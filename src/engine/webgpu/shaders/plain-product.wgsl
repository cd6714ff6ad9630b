// For benchmarks: int32 multiply-adds on registers, and nothing else, for the most that multiply-adds reach
// on the device. Each invocation has 16 independent chains.

@group(0) @binding(0) var<storage, read_write> result: array<i32>;

override rounds: u32 = 1u;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var a = vec4<i32>(i32(id.x)) + vec4<i32>(1, 2, 3, 4);
  var b = a + 5;
  var c = a + 9;
  var d = a + 13;
  let factor = vec4<i32>(3, 5, 7, 11) * (i32(id.x & 3u) + 1);
  for (var i = 0u; i < rounds; i++) {
    a = a * factor + b;
    b = b * factor + c;
    c = c * factor + d;
    d = d * factor + a;
  }
  let sum = a + b + c + d;
  // Nobody reads the result, but a compiler cannot know, so it keeps the products.
  if (sum.x == 12345 && sum.y == 54321) {
    result[0] = sum.z + sum.w;
  }
}
