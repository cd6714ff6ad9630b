// What the kernels of layers share (spec 3.3). Tensors are (rows, columns, channels) of int16, two channels in a u32, the even one in the
// low half. Every tensor covers a window of the picture; beyond it sites count as zero, which is what they are where the picture ends.

// A dispatch makes a layer of some windows, which have the same kernel and weights: what differs stands in `layers`, and their tensors lie in the
// same buffers, one after the other.

struct Layer {
  // Where the window's tensors begin in the buffers, in words.
  @align(16) input_base: u32,
  residual_base: u32,
  output_base: u32,
  // The window to make: its size, and where its first site lies in the tensors it is read from, added from and written to (before any shuffle).
  height: i32,
  width: i32,
  input_top: i32,
  input_left: i32,
  residual_top: i32,
  residual_left: i32,
  output_top: i32,
  output_left: i32,
  // Rows and columns that the tensors hold.
  input_height: i32,
  input_width: i32,
  residual_width: i32,
  output_height: i32,
  output_width: i32,
  // Channels: of the input in pairs, of the convolution, of the tensor written in pairs.
  input_pairs: u32,
  outputs: u32,
  output_pairs: u32,
  // Sites on a side that one site's outputs become, 1 without a shuffle.
  shuffle: u32,
  first_bias: u32,
  shift: u32,
  limit: i32,
  leaky: u32,
  // 0 where nothing is added.
  residual_limit: i32,
}

const WINDOWS = 16;

@group(0) @binding(0) var<uniform> layers: array<Layer, WINDOWS>;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

// Both int16 of a word.
fn unpack(word: u32) -> vec2<i32> {
  return vec2<i32>(bitcast<i32>(word << 16u) >> 16u, bitcast<i32>(word) >> 16u);
}

fn pack(low: i32, high: i32) -> u32 {
  return (bitcast<u32>(low) & 0xffffu) | (bitcast<u32>(high) << 16u);
}
