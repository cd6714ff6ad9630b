// 3x3 convolution (specification 3.3). A workgroup makes 8 x 16 sites of 32 outputs, from 10 x 18 sites of
// the input.
//
// weights: [outputs / 32][slice][tap][pair][32 outputs], a pair of inputs in each word, 0 beyond the last
// output or channel (packWeights).
//
// Channels pass in slices of 8 pairs, 16 channels: 180 sites and 9 taps of them, 14,976 bytes of workgroup
// memory. An invocation makes 8 sites in a row: for a pair and a row of taps it reads 10 sites, which it
// shifts through registers from tap to tap, and 3 vectors of weights.

// Pairs of channels in a slice.
const PAIRS = 8u;
const TILE_HEIGHT = 8u;
const TILE_WIDTH = 16u;
// Sites that are read: in a row, and all.
const ROW = 18u;
const SITES = 180u;

// [pair][site]
var<workgroup> sites: array<u32, 1440>;
// [tap][pair][group of four outputs]
var<workgroup> taps: array<vec4<u32>, 576>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let layer = layers[workgroup.z / blocks()];
  let block = workgroup.z % blocks();
  let top = workgroup.y * TILE_HEIGHT;
  let left = workgroup.x * TILE_WIDTH;
  let group = local % GROUPS;
  let row = local / 16u;
  let column = ((local / GROUPS) % 2u) * 8u;
  let first_output = block * OUTPUTS + group * 4u;
  let y = i32(top + row);
  let x = i32(left + column);
  let needed = y < layer.height && x < layer.width && first_output < layer.outputs;

  var a0 = first_bias(layer, first_output);
  var a1 = a0;
  var a2 = a0;
  var a3 = a0;
  var a4 = a0;
  var a5 = a0;
  var a6 = a0;
  var a7 = a0;

  let slices = (layer.input_pairs + PAIRS - 1u) / PAIRS;
  for (var slice = 0u; slice < slices; slice++) {
    workgroupBarrier();
    for (var i = local; i < SITES * PAIRS; i += THREADS) {
      let pair = slice * PAIRS + i % PAIRS;
      let site = i / PAIRS;
      let y = layer.input_top + i32(top + site / ROW) - 1;
      let x = layer.input_left + i32(left + site % ROW) - 1;
      var word = 0u;
      if (pair < layer.input_pairs && y >= 0 && y < layer.input_height && x >= 0 && x < layer.input_width) {
        word = input[layer.input_base + u32(y * layer.input_width + x) * layer.input_pairs + pair];
      }
      sites[(i % PAIRS) * SITES + site] = word;
    }
    let first_weight = (block * slices + slice) * 576u;
    for (var i = local; i < 576u; i += THREADS) {
      taps[i] = weights[first_weight + i];
    }
    workgroupBarrier();
    // At the ends of a window many invocations have nothing to make.
    if (needed) {
      for (var pair = 0u; pair < PAIRS; pair++) {
        for (var ky = 0u; ky < 3u; ky++) {
          let at = pair * SITES + (row + ky) * ROW + column;
          var p0 = unpack(sites[at]);
          var p1 = unpack(sites[at + 1u]);
          var p2 = unpack(sites[at + 2u]);
          var p3 = unpack(sites[at + 3u]);
          var p4 = unpack(sites[at + 4u]);
          var p5 = unpack(sites[at + 5u]);
          var p6 = unpack(sites[at + 6u]);
          var p7 = unpack(sites[at + 7u]);
          var p8 = unpack(sites[at + 8u]);
          var p9 = unpack(sites[at + 9u]);
          for (var kx = 0u; kx < 3u; kx++) {
            let tap = taps[((ky * 3u + kx) * PAIRS + pair) * GROUPS + group];
            let low = low_halves(tap);
            let high = high_halves(tap);
            a0 = multiply_add(a0, low, high, p0);
            a1 = multiply_add(a1, low, high, p1);
            a2 = multiply_add(a2, low, high, p2);
            a3 = multiply_add(a3, low, high, p3);
            a4 = multiply_add(a4, low, high, p4);
            a5 = multiply_add(a5, low, high, p5);
            a6 = multiply_add(a6, low, high, p6);
            a7 = multiply_add(a7, low, high, p7);
            // The next tap sees the sites one to the right.
            p0 = p1;
            p1 = p2;
            p2 = p3;
            p3 = p4;
            p4 = p5;
            p5 = p6;
            p6 = p7;
            p7 = p8;
            p8 = p9;
          }
        }
      }
    }
  }

  var sums = array(a0, a1, a2, a3, a4, a5, a6, a7);
  for (var i = 0; i < 8; i++) {
    store(layer, sums[i], y, x + i, first_output);
  }
}
