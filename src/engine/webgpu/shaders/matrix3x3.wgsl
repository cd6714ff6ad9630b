// The sites of a 3x3 convolution by matrices: 8 x 16, from 10 x 18 of the input.

const TILE_HEIGHT = 8u;
const TILE_WIDTH = 16u;
// Sites that are read: in a row, and all.
const ROW = 18u;
const SITES = 180u;

// Index in the input of the i-th site read; -1: outside, zero.
fn input_site(layer: Layer, workgroup: vec3<u32>, i: u32) -> i32 {
  let y = layer.input_top + i32(workgroup.y * TILE_HEIGHT + i / ROW) - 1;
  let x = layer.input_left + i32(workgroup.x * TILE_WIDTH + i % ROW) - 1;
  let inside = y >= 0 && y < layer.input_height && x >= 0 && x < layer.input_width;
  return select(-1, y * layer.input_width + x, inside);
}

// The site read that the first tap of a site sees.
fn first_read(site: u32) -> u32 {
  return (site / TILE_WIDTH) * ROW + site % TILE_WIDTH;
}

// Row and column of a site in the window.
fn position(layer: Layer, workgroup: vec3<u32>, site: u32) -> vec2<i32> {
  return vec2<i32>(
    i32(workgroup.y * TILE_HEIGHT + site / TILE_WIDTH),
    i32(workgroup.x * TILE_WIDTH + site % TILE_WIDTH),
  );
}
