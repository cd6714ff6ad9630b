// The LIIF head (specification 4.3 to 4.5): samples of output pixels from P. Four sites of each pixel give
// hidden vectors, the local ensemble blends them, the output layer follows.
//
// One invocation makes a pixel, eight hidden units (an *octet*) at a time: the even units in one vector, the
// odd ones in another, since that is how words unpack. Workgroup (x, y) makes pixels 64x .. 64x+63, row by
// row, of query y, and packs their samples into words.
//
// Fractions and the ensemble's weights are Q14. Products of a weight and a relative coordinate are below
// 2^30; weights of the ensemble sum up to 2^14 and hidden units are at most 32767, so a blended sum is below
// 2^29; sums of the output layer fit i32 (3.8).

struct Features {
  // First site of the window of P, and its width in sites.
  top: i32,
  left: i32,
  width: i32,
  // Last row and column of the level.
  last_row: i32,
  last_column: i32,
  // Hidden units / 8.
  octets: u32,
  output_shift: u32,
  first_query: u32,
  output_bias: vec4<i32>,
}

struct Query {
  height: u32,
  width: u32,
  // First elements of its rows and columns in `axes`.
  rows: u32,
  columns: u32,
  // First word of its samples in `samples`.
  samples: u32,
  depth: u32,
  // First vector of its cell terms in `terms`.
  cell: u32,
  unused: u32,
}

@group(0) @binding(0) var<uniform> features: Features;
// P: (rows, columns, octets), eight int16 each.
@group(0) @binding(1) var<storage, read> sites: array<vec4<u32>>;
// For each octet the even and the odd units of: row weight, column weight, output weight of red, green, blue.
@group(0) @binding(2) var<storage, read> head: array<vec4<i32>>;
@group(0) @binding(3) var<storage, read> queries: array<Query>;
// (site index, not yet clamped; fraction) of output rows and columns.
@group(0) @binding(4) var<storage, read> axes: array<vec2<i32>>;
// c of spec 4.4: for each octet the even and the odd units.
@group(0) @binding(5) var<storage, read> terms: array<vec4<i32>>;
@group(0) @binding(6) var<storage, read_write> samples: array<u32>;

const ONE = 16384i;
// Vectors of an octet in `head`.
const HEAD_STRIDE = 10u;

var<workgroup> colors: array<u32, 192>;

fn sat16(v: vec4<i32>) -> vec4<i32> {
  return clamp(v, vec4<i32>(-32768), vec4<i32>(32767));
}

fn round14(v: vec4<i32>) -> vec4<i32> {
  return (v + vec4<i32>(8192)) >> vec4<u32>(14u);
}

fn even_units(words: vec4<u32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(words << vec4<u32>(16u)) >> vec4<u32>(16u);
}

fn odd_units(words: vec4<u32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(words) >> vec4<u32>(16u);
}

// hidden[dy][dx] of 4.4 for four units.
fn hidden(site: vec4<i32>, row_term: vec4<i32>, column_term: vec4<i32>) -> vec4<i32> {
  return max(sat16(sat16(site + row_term) + column_term), vec4<i32>());
}

struct Pixel {
  row_fraction: i32,
  column_fraction: i32,
  // s00, s01, s10, s11 of 4.4.
  weights: vec4<i32>,
}

// blended[k] of 4.4 for four units; pXX: their values of P at the four sites.
fn blend(
  pixel: Pixel,
  row_weight: vec4<i32>,
  column_weight: vec4<i32>,
  cell: vec4<i32>,
  p00: vec4<i32>,
  p01: vec4<i32>,
  p10: vec4<i32>,
  p11: vec4<i32>,
) -> vec4<i32> {
  let above = sat16(sat16(round14(row_weight * pixel.row_fraction)) + cell);
  let below = sat16(sat16(round14(row_weight * (pixel.row_fraction - ONE))) + cell);
  let before = sat16(round14(column_weight * pixel.column_fraction));
  let behind = sat16(round14(column_weight * (pixel.column_fraction - ONE)));
  let sum = hidden(p00, above, before) * pixel.weights.x + hidden(p01, above, behind) * pixel.weights.y +
    hidden(p10, below, before) * pixel.weights.z + hidden(p11, below, behind) * pixel.weights.w;
  return round14(sum);
}

// Adds an octet's part of the output layer; its vectors begin at head[weight]. The lanes are summed up at the
// end.
fn add_outputs(
  red: ptr<function, vec4<i32>>,
  green: ptr<function, vec4<i32>>,
  blue: ptr<function, vec4<i32>>,
  weight: u32,
  even: vec4<i32>,
  odd: vec4<i32>,
) {
  *red += head[weight + 4u] * even + head[weight + 5u] * odd;
  *green += head[weight + 6u] * even + head[weight + 7u] * odd;
  *blue += head[weight + 8u] * even + head[weight + 9u] * odd;
}

fn sum_of(v: vec4<i32>) -> i32 {
  return v.x + v.y + v.z + v.w;
}

// The samples of output pixel (row i, column j).
fn color(query: Query, i: u32, j: u32) -> vec3<u32> {
  let row = axes[query.rows + i];
  let column = axes[query.columns + j];
  let fr = row.y;
  let fc = column.y;
  let s11 = (fr * fc + 8192) >> 14u;
  let pixel = Pixel(fr, fc, vec4<i32>(ONE - fr - fc + s11, fc - s11, fr - s11, s11));

  let y0 = clamp(row.x, 0, features.last_row) - features.top;
  let y1 = clamp(row.x + 1, 0, features.last_row) - features.top;
  let x0 = clamp(column.x, 0, features.last_column) - features.left;
  let x1 = clamp(column.x + 1, 0, features.last_column) - features.left;
  let at00 = u32(y0 * features.width + x0) * features.octets;
  let at01 = u32(y0 * features.width + x1) * features.octets;
  let at10 = u32(y1 * features.width + x0) * features.octets;
  let at11 = u32(y1 * features.width + x1) * features.octets;

  var red = vec4<i32>();
  var green = vec4<i32>();
  var blue = vec4<i32>();
  // At native scale pixels lie on sites: all other terms, and the weights of the other sites, are 0.
  if (fr == 0 && fc == 0) {
    for (var octet = 0u; octet < features.octets; octet++) {
      let words = sites[at00 + octet];
      let cell = query.cell + octet * 2u;
      let even = max(sat16(even_units(words) + terms[cell]), vec4<i32>());
      let odd = max(sat16(odd_units(words) + terms[cell + 1u]), vec4<i32>());
      let weight = octet * HEAD_STRIDE;
      add_outputs(&red, &green, &blue, weight, even, odd);
    }
  } else {
    for (var octet = 0u; octet < features.octets; octet++) {
      let w00 = sites[at00 + octet];
      let w01 = sites[at01 + octet];
      let w10 = sites[at10 + octet];
      let w11 = sites[at11 + octet];
      let weight = octet * HEAD_STRIDE;
      let cell = query.cell + octet * 2u;
      let even = blend(
        pixel, head[weight], head[weight + 2u], terms[cell],
        even_units(w00), even_units(w01), even_units(w10), even_units(w11),
      );
      let odd = blend(
        pixel, head[weight + 1u], head[weight + 3u], terms[cell + 1u],
        odd_units(w00), odd_units(w01), odd_units(w10), odd_units(w11),
      );
      add_outputs(&red, &green, &blue, weight, even, odd);
    }
  }
  let sums = features.output_bias.xyz + vec3<i32>(sum_of(red), sum_of(green), sum_of(blue));
  if (query.depth == 8u) {
    let k = features.output_shift;
    let rounded = (sums + vec3<i32>((1i << k) >> 1u)) >> vec3<u32>(k);
    return vec3<u32>(clamp(rounded, vec3<i32>(0), vec3<i32>(255)));
  }
  let k = features.output_shift - 8u;
  let rounded = (sums + vec3<i32>((1i << k) >> 1u)) >> vec3<u32>(k);
  let wide = clamp(rounded, vec3<i32>(0), vec3<i32>(65280));
  return vec3<u32>((wide * 257 + 128) >> vec3<u32>(8u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let query = queries[features.first_query + workgroup.y];
  let count = query.height * query.width;
  let first = workgroup.x * 64u;
  let index = first + local;
  if (index < count) {
    let samples_of = color(query, index / query.width, index % query.width);
    colors[3u * local] = samples_of.x;
    colors[3u * local + 1u] = samples_of.y;
    colors[3u * local + 2u] = samples_of.z;
  }
  workgroupBarrier();
  if (first >= count) {
    return;
  }
  // 64 pixels are 48 words of 8-bit samples, or 96 of 16 bits. Behind the last pixel words are arbitrary, and
  // nobody reads them.
  if (query.depth == 8u) {
    if (local < 48u) {
      let c = 4u * local;
      let word = colors[c] | (colors[c + 1u] << 8u) | (colors[c + 2u] << 16u) | (colors[c + 3u] << 24u);
      samples[query.samples + workgroup.x * 48u + local] = word;
    }
  } else {
    for (var i = local; i < 96u; i += 64u) {
      samples[query.samples + workgroup.x * 96u + i] = colors[2u * i] | (colors[2u * i + 1u] << 16u);
    }
  }
}
