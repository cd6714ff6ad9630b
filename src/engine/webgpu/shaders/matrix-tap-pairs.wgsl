// Taps of a 3x3 convolution of at most 16 channels: two sites each, side by side, 32 channels together. A row
// of three sites is two taps; the second has the third site and the one after it, whose weights are zero.
// Follows matrix3x3.wgsl.

// Quads of a tap that belong to one site.
const SITE_QUADS = 4u;
const TAPS = 6u;

// Sites from the first tap to this one, among those read.
fn further(tap: u32) -> u32 {
  return (tap / 2u) * ROW + 2u * (tap % 2u);
}
