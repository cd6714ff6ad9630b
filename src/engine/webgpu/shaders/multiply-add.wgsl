// Common to conv1x1.wgsl and conv3x3.wgsl: products by multiply-adds of int32. Of the 128 sites x 32 outputs
// of a workgroup each of its 128 invocations makes 8 sites x 4 outputs in registers, 8 vectors: a word of
// input serves 4 outputs, a word of weights 8 sites.

@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;

// Groups of four outputs in a block: invocation i makes group i mod GROUPS.
const GROUPS = 8u;
const THREADS = 128u;

// acc + both products of a pair of inputs with the weights of four outputs.
fn multiply_add(acc: vec4<i32>, low: vec4<i32>, high: vec4<i32>, pair: vec2<i32>) -> vec4<i32> {
  return acc + low * pair.x + high * pair.y;
}

// Weights of four outputs for the even channel of a pair.
fn low_halves(words: vec4<u32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(words << vec4<u32>(16u)) >> vec4<u32>(16u);
}

// For the odd channel.
fn high_halves(words: vec4<u32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(words) >> vec4<u32>(16u);
}
