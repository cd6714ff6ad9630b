// Common to the kernels of layers (specification 3.3): parameters, tensors, packing.
//
// A tensor is (rows, columns, channels) of int16, two channels in a u32, the even one in the low half; a
// *pair* is such a word. A tensor covers a window of the picture. A kernel reads sites outside the tensor as
// zero: tensors hold all neighbors that lie inside the picture, so outside there is only padding.
//
// A dispatch makes one layer of up to WINDOWS windows with the same weights. Their tensors lie one after the
// other in the same buffers; `layers` has what differs.
//
// Sums are i32. A loader has proved that none overflows (3.8), so the order of additions does not matter.
// WGSL defines that i32 wraps around.

struct Layer {
  // First words of the window's tensors in their buffers.
  @align(16) input_base: u32,
  residual_base: u32,
  output_base: u32,
  // The window to make: its size in sites (before any shuffle), and its first site in the tensors input,
  // residual and output (there after the shuffle).
  height: i32,
  width: i32,
  input_top: i32,
  input_left: i32,
  residual_top: i32,
  residual_left: i32,
  output_top: i32,
  output_left: i32,
  // Sizes of the tensors, in sites.
  input_height: i32,
  input_width: i32,
  residual_width: i32,
  output_height: i32,
  output_width: i32,
  // Channels: of the input in pairs; made by the convolution; of the output in pairs.
  input_pairs: u32,
  outputs: u32,
  output_pairs: u32,
  // Factor of the shuffle or unshuffle, 1 without.
  shuffle: u32,
  // Element of `bias` or `row` that belongs to output 0 at this quality.
  first_bias: u32,
  // shift and limit of the layer.
  shift: u32,
  limit: i32,
  leaky: u32,
  // limit of the residual; 0: this is none, nothing is added.
  residual_limit: i32,
}

const WINDOWS = 16;

@group(0) @binding(0) var<uniform> layers: array<Layer, WINDOWS>;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

// Both int16 of a word, the even channel first.
fn unpack(word: u32) -> vec2<i32> {
  return vec2<i32>(bitcast<i32>(word << 16u) >> 16u, bitcast<i32>(word) >> 16u);
}

fn pack(low: i32, high: i32) -> u32 {
  return (bitcast<u32>(low) & 0xffffu) | (bitcast<u32>(high) << 16u);
}
