// Common to the kernels of convolutions: biases, and what follows the sums. A workgroup makes 128 sites of 32
// outputs, a block; inputs and weights pass through workgroup memory in slices of channels.

@group(0) @binding(3) var<storage, read> bias: array<i32>;
@group(0) @binding(4) var<storage, read> residual: array<u32>;

const OUTPUTS = 32u;

// Blocks of a window. Workgroups with z = 0 .. blocks() - 1 make those of the first window, the next ones
// those of the second.
fn blocks() -> u32 {
  return (layers[0].outputs + OUTPUTS - 1u) / OUTPUTS;
}

// Biases of four outputs: what their sums begin with.
fn first_bias(layer: Layer, first_output: u32) -> vec4<i32> {
  if (first_output >= layer.outputs) {
    return vec4<i32>();
  }
  let at = layer.first_bias + first_output;
  return vec4<i32>(bias[at], bias[at + 1u], bias[at + 2u], bias[at + 3u]);
}

// The end of `conv` and of `residual`: rounds, clamps, applies leaky, adds the residual, shuffles, and writes
// four outputs of site (y, x) of the window.
fn store(layer: Layer, acc: vec4<i32>, y: i32, x: i32, first_output: u32) {
  if (y >= layer.height || x >= layer.width || first_output >= layer.outputs) {
    return;
  }
  let half = vec4<i32>((1i << layer.shift) >> 1u);
  var v = (acc + half) >> vec4<u32>(layer.shift);
  v = clamp(v, vec4<i32>(-layer.limit), vec4<i32>(layer.limit));
  if (layer.leaky != 0u) {
    v = max(v, v >> vec4<u32>(3u));
  }
  if (layer.residual_limit != 0) {
    let site = u32((layer.residual_top + y) * layer.residual_width + layer.residual_left + x);
    let at = layer.residual_base + (site * layer.outputs + first_output) / 2u;
    v += vec4<i32>(unpack(residual[at]), unpack(residual[at + 1u]));
    v = clamp(v, vec4<i32>(-layer.residual_limit), vec4<i32>(layer.residual_limit));
  }
  let channels = layer.outputs / (layer.shuffle * layer.shuffle);
  let part = first_output / channels;
  let factor = i32(layer.shuffle);
  let row = layer.output_top + y * factor + i32(part / layer.shuffle);
  let column = layer.output_left + x * factor + i32(part % layer.shuffle);
  // The window of a shuffle is made of whole groups of sites, some of which may lie outside the output.
  if (row < 0 || row >= layer.output_height || column < 0 || column >= layer.output_width) {
    return;
  }
  let at = layer.output_base + u32(row * layer.output_width + column) * layer.output_pairs + (first_output - part * channels) / 2u;
  output[at] = pack(v.x, v.y);
  output[at + 1u] = pack(v.z, v.w);
}
