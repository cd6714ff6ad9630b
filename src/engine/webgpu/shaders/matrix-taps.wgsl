// Taps of a 3x3 convolution of more than 16 channels: one site each, with a slice of 32 channels. Follows
// matrix3x3.wgsl.

// Quads of a tap that belong to one site.
const SITE_QUADS = 8u;
const TAPS = 9u;

// Sites from the first tap to this one, among those read.
fn further(tap: u32) -> u32 {
  return (tap / 3u) * ROW + tap % 3u;
}
