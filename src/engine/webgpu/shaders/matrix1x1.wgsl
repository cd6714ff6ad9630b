// The sites of a 1x1 convolution by matrices: 128, one after the other in the window, row by row. Those that
// are made are those that are read.

const SITES = 128u;
// Quads of a tap that belong to one site.
const SITE_QUADS = 8u;
const TAPS = 1u;

fn position(layer: Layer, workgroup: vec3<u32>, site: u32) -> vec2<i32> {
  let index = (workgroup.y * 65535u + workgroup.x) * SITES + site;
  let width = u32(layer.width);
  return vec2<i32>(i32(index / width), i32(index % width));
}

fn input_site(layer: Layer, workgroup: vec3<u32>, i: u32) -> i32 {
  let at = position(layer, workgroup, i);
  return select(-1, (layer.input_top + at.x) * layer.input_width + layer.input_left + at.y, at.x < layer.height);
}

fn first_read(site: u32) -> u32 {
  return site;
}

fn further(tap: u32) -> u32 {
  return 0u;
}
