// 1x1 convolution (specification 3.3). A workgroup makes 128 sites, one after the other in the window, row by
// row, of 32 outputs.
//
// weights: [outputs / 32][slice][pair][32 outputs], a pair of inputs in each word, 0 beyond the last output
// or channel (packWeights).
//
// Channels pass in slices of 16 pairs, 32 channels. An invocation makes 8 sites that follow each other.

// Pairs of channels in a slice.
const PAIRS = 16u;
const SITES = 128u;
// Words from one pair to the next: 2 more than SITES, so that the pairs of a site lie in different banks.
const STRIDE = 130u;

// [pair][site]
var<workgroup> sites: array<u32, 2080>;
// [pair][group of four outputs]
var<workgroup> taps: array<vec4<u32>, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let layer = layers[workgroup.z / blocks()];
  let block = workgroup.z % blocks();
  let first_site = (workgroup.y * 65535u + workgroup.x) * SITES;
  let width = u32(layer.width);
  let count = width * u32(layer.height);
  let group = local % GROUPS;
  let own = (local / GROUPS) * 8u;
  let first_output = block * OUTPUTS + group * 4u;
  let needed = first_site + own < count && first_output < layer.outputs;

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
      let site = first_site + i / PAIRS;
      var word = 0u;
      if (pair < layer.input_pairs && site < count) {
        let y = layer.input_top + i32(site / width);
        let x = layer.input_left + i32(site % width);
        word = input[layer.input_base + u32(y * layer.input_width + x) * layer.input_pairs + pair];
      }
      sites[(i % PAIRS) * STRIDE + i / PAIRS] = word;
    }
    taps[local] = weights[(block * slices + slice) * THREADS + local];
    workgroupBarrier();
    // At the ends of a window many invocations have nothing to make.
    if (needed) {
      for (var pair = 0u; pair < PAIRS; pair++) {
        let low = low_halves(taps[pair * GROUPS + group]);
        let high = high_halves(taps[pair * GROUPS + group]);
        let at = pair * STRIDE + own;
        a0 = multiply_add(a0, low, high, unpack(sites[at]));
        a1 = multiply_add(a1, low, high, unpack(sites[at + 1u]));
        a2 = multiply_add(a2, low, high, unpack(sites[at + 2u]));
        a3 = multiply_add(a3, low, high, unpack(sites[at + 3u]));
        a4 = multiply_add(a4, low, high, unpack(sites[at + 4u]));
        a5 = multiply_add(a5, low, high, unpack(sites[at + 5u]));
        a6 = multiply_add(a6, low, high, unpack(sites[at + 6u]));
        a7 = multiply_add(a7, low, high, unpack(sites[at + 7u]));
      }
    }
  }

  var sums = array(a0, a1, a2, a3, a4, a5, a6, a7);
  for (var i = 0u; i < 8u; i++) {
    let site = first_site + own + i;
    store(layer, sums[i], i32(site / width), i32(site % width), first_output);
  }
}
