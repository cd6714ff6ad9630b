// The layer `row` (specification 3.3): out = clamp(in + row[channel], limit). One invocation makes a pair of
// channels of a site.

@group(0) @binding(3) var<storage, read> row: array<i32>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let layer = layers[workgroup.z];
  let index = (workgroup.y * 65535u + workgroup.x) * 128u + local;
  let pairs = layer.input_pairs;
  let width = u32(layer.width);
  let site = index / pairs;
  let pair = index % pairs;
  let y = i32(site / width);
  let x = i32(site % width);
  if (y >= layer.height) {
    return;
  }
  let source = layer.input_base + u32((layer.input_top + y) * layer.input_width + layer.input_left + x) * pairs + pair;
  let place = layer.output_base + u32((layer.output_top + y) * layer.output_width + layer.output_left + x) * pairs + pair;
  let at = layer.first_bias + 2u * pair;
  let v = clamp(
    unpack(input[source]) + vec2<i32>(row[at], row[at + 1u]),
    vec2<i32>(-layer.limit),
    vec2<i32>(layer.limit),
  );
  output[place] = pack(v.x, v.y);
}
