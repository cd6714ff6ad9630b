// Convolutions by multiply-adds of int32: each invocation of 128 makes 8 sites of 4 outputs, in registers.

@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;

// Vectors of four outputs in a block.
const GROUPS = 8u;
const THREADS = 128u;

// acc + both products of a pair of inputs with the weights of four outputs.
fn multiply_add(acc: vec4<i32>, low: vec4<i32>, high: vec4<i32>, pair: vec2<i32>) -> vec4<i32> {
  return acc + low * pair.x + high * pair.y;
}

fn low_halves(words: vec4<u32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(words << vec4<u32>(16u)) >> vec4<u32>(16u);
}

fn high_halves(words: vec4<u32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(words) >> vec4<u32>(16u);
}
