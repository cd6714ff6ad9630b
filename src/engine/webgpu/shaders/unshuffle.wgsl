// The layer `unshuffle` (specification 3.3): out[y][x][(dy*k + dx)*C + c] = in[y*k + dy][x*k + dx][c]. One
// invocation copies a pair of channels; C is even.

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let layer = layers[workgroup.z];
  let index = (workgroup.y * 65535u + workgroup.x) * 128u + local;
  let width = u32(layer.width);
  let site = index / layer.output_pairs;
  let pair = index % layer.output_pairs;
  let y = site / width;
  let x = site % width;
  if (y >= u32(layer.height)) {
    return;
  }
  let factor = layer.shuffle;
  let part = pair / layer.input_pairs;
  let row = u32(layer.input_top) + y * factor + part / factor;
  let column = u32(layer.input_left) + x * factor + part % factor;
  let source = layer.input_base + (row * u32(layer.input_width) + column) * layer.input_pairs + pair % layer.input_pairs;
  let place = u32((layer.output_top + i32(y)) * layer.output_width + layer.output_left + i32(x)) * layer.output_pairs;
  output[layer.output_base + place + pair] = input[source];
}
